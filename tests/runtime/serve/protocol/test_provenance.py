"""What an answer says of itself, and whether it can be had again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.serve.protocol.parameters import wanted
from fluxpath.runtime.serve.protocol.provenance import check_replay, provenance_of
from fluxpath.runtime.serve.protocol.served import Served
from fluxpath.runtime.serve.settings import Settings

SETTINGS = Settings()


@pytest.fixture(scope="module")
def served(smooth):
    return Served("m", "1", smooth, SETTINGS)


@pytest.mark.parametrize(
    ("parameters", "arrays"),
    [
        ({}, {}),
        ({"method": "big", "radii": [0.1, 0.2]}, {}),
        ({"method": "neflag", "n": 3, "seed": 5}, {}),
        ({"method": "integrated-gradients", "baseline": [[1.0, 2.0]]}, {}),
        ({"method": "integrated-gradients"}, {"baseline": np.ones((10, 10))}),
        ({"top": 2}, {}),
    ],
)
def test_it_leads_to_the_same_method_again(served, parameters, arrays):
    first = wanted(parameters, arrays, SETTINGS)
    made = json.loads(json.dumps(provenance_of(served, first, None)))
    again = wanted({"replay": made}, arrays, SETTINGS)
    assert (again.method, again.top) == (first.method, first.top)
    check_replay(made, json.loads(json.dumps(provenance_of(served, again, None))))


@pytest.mark.parametrize("change", ["sha256", "fluxpath", "target", "top"])
def test_what_is_different_is_named(served, change):
    made = provenance_of(served, wanted({}, {}, SETTINGS), None)
    with pytest.raises(InputError, match=f"its {change} was"):
        check_replay({**made, change: "other"}, made)


def test_another_array_is_told(served):
    first = wanted({"method": "integrated-gradients"}, {"baseline": np.ones((10, 10))}, SETTINGS)
    made = provenance_of(served, first, None)
    other = wanted({"replay": made}, {"baseline": np.zeros((10, 10))}, SETTINGS)
    with pytest.raises(InputError, match="its settings"):
        check_replay(made, provenance_of(served, other, None))
