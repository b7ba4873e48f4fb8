"""What parameters say: methods, drawing, deadlines, and what they must not be able to."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime import MFABA, IntegratedGradients, NeFLAG
from fluxpath.runtime.pictures import Drawing
from fluxpath.runtime.serve.protocol.parameters import deadline_of, wanted
from fluxpath.runtime.serve.settings import Settings

SETTINGS = Settings(deadline=60, max_deadline=100)


def test_the_default_is_the_servers():
    wish = wanted({}, {}, SETTINGS)
    assert (wish.method, wish.drawing, wish.half) == (MFABA(), Drawing(), False)


def test_settings_and_drawing_go_by_their_names_in_python():
    wish = wanted({"method": "neflag", "n": 3, "seed": 7, "polarity": "both", "size": 100}, {}, SETTINGS)
    assert wish.method == NeFLAG(n=3, seed=7)
    assert wish.drawing == Drawing(polarity="both", size=100)


def test_a_length_is_a_number_or_from_the_image():
    for given in ("auto", 0.05, None):
        wish = wanted({"method": "mfaba-smooth", "step_size": given}, {}, SETTINGS)
        assert wish.method == MFABA("smooth", step_size=given)
        sent = {"method": "mfaba-smooth", "settings": {"step_size": given}}
        assert wanted({"replay": json.dumps(sent)}, {}, SETTINGS).method == wish.method
    assert wanted({"method": "neflag", "radius": "auto"}, {}, SETTINGS).method == NeFLAG(radius="auto")


def test_arrays_are_lists_or_tensors():
    lists = wanted({"method": "integrated-gradients", "baseline": [[0.5, 0.5]]}, {}, SETTINGS)
    tensor = wanted({"method": "integrated-gradients"}, {"baseline": np.full((1, 2), 0.5)}, SETTINGS)
    assert lists.method == tensor.method == IntegratedGradients(baseline=np.full((1, 2), 0.5))


@pytest.mark.parametrize(
    "parameters",
    [
        {"method": "os:system"}, {"method": "fluxpath.runtime:MFABA"}, {"method": 3}, {"method": ["neflag"]},
        {"n": 3}, {"nonsense": 1}, {"method": "neflag", "n": "many"}, {"method": "neflag", "n": {}},
        {"method": "neflag", "n": None}, {"method": "neflag", "n": True}, {"method": "neflag", "n": [1]},
        {"method": "neflag", "radius": "0.1"}, {"step_size": "big"}, {"step_size": float("nan")},
        {"method": "neflag", "radius": float("nan")}, {"method": "neflag", "radius": 1e300},
        {"method": "integrated-gradients", "baseline": "/etc/passwd"},
        {"method": "integrated-gradients", "baseline": [[1], [1, 2]]},
        {"method": "integrated-gradients", "baseline": []},
        {"method": "big", "radii": "x"}, {"method": "big", "radii": []}, {"method": "expected-gradients"},
        {"polarity": "up"}, {"size": 100_000}, {"size": "big"}, {"smooth": "file.npy"}, {"colormap": ["a"]},
        {"attribution_datatype": "FP8"}, {"replay": "{"}, {"replay": []}, {"replay": {"settings": 1}},
        {"replay": {"method": "neflag", "settings": {}}, "n": 3},
        {"replay": {"method": "neflag", "settings": {"nonsense": 3}}},
    ],
)  # fmt: skip
def test_what_is_wrong_is_an_input_error(parameters):
    with pytest.raises(InputError):
        wanted(parameters, {}, SETTINGS)


def test_a_provenance_is_replayed_as_json_too():
    sent = {"method": "neflag", "settings": {"n": 2, "seed": 5}}
    assert wanted({"replay": json.dumps(sent)}, {}, SETTINGS).method == NeFLAG(n=2, seed=5)


@pytest.mark.parametrize(
    ("parameters", "remaining", "seconds"),
    [
        ({}, None, 60), ({"deadline_ms": 1500}, None, 1.5), ({"timeout": 2_000_000}, None, 2), ({}, 5.0, 5),
        ({"timeout": 0}, None, 60), ({"deadline_ms": 10_000}, 5.0, 5), ({"deadline_ms": 10**9}, None, 100),
        ({"timeout": 1000, "deadline_ms": 5}, None, 0.001),
    ],
)  # fmt: skip
def test_the_deadline_is_the_nearest(parameters, remaining, seconds):
    assert deadline_of(parameters, SETTINGS, 1000.0, remaining) == pytest.approx(1000 + seconds)


@pytest.mark.parametrize("value", [-1, "5", True, float("nan"), float("inf"), [1]])
def test_a_deadline_that_is_none(value):
    with pytest.raises(InputError):
        deadline_of({"deadline_ms": value}, SETTINGS, 0.0)
