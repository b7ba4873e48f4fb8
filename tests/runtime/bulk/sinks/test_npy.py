"""The .npy file and its rows beside it: neither is read without the other."""

from __future__ import annotations

import numpy as np
import pytest
from sinks import ITEMS, METHOD, SHAPE

from fluxpath.errors import InputError
from fluxpath.runtime.bulk.sinks.npy import Npy


@pytest.fixture
def written(explainer, tmp_path):
    explainer.attribute_many(ITEMS[:3], tmp_path / "out.npy", method=METHOD)
    return tmp_path / "out.npy"


def test_rows_and_values_come_back_in_order(written):
    head, rows = Npy().read(written)
    assert head.shape == SHAPE and [row.name for row in rows] == [name for name, *_ in ITEMS[:3]]
    np.testing.assert_array_equal(list(Npy().values(written)), np.load(written))


def test_a_file_without_its_rows_or_with_fewer_is_refused(written):
    beside = written.with_suffix(".jsonl")
    lines = beside.read_bytes().splitlines(keepends=True)
    beside.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(InputError, match=r"has no 'out.jsonl' of its rows"):
        Npy().read(written)
    beside.unlink()
    with pytest.raises(InputError, match=r"has no 'out.jsonl' of its rows"):
        Npy().read(written)


def test_a_damaged_file_is_refused(written):
    written.write_bytes(written.read_bytes()[:40])
    with pytest.raises(InputError, match=r"is no intact \.npy file"):
        Npy().read(written)


def test_rows_of_other_results_are_in_the_way(explainer, tmp_path):
    explainer.attribute_many(ITEMS[:1], tmp_path / "r.jsonl", method=METHOD)
    with pytest.raises(InputError, match=r"r\.jsonl' is no intact result .*, and '.*r\.npy' keeps its rows"):
        explainer.attribute_many(ITEMS[:1], tmp_path / "r.npy", method=METHOD)
    assert [p.name for p in tmp_path.iterdir()] == ["r.jsonl"]
