"""What is known of an image beside its attribution, as columns and JSON, and which runs may not mix."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sinks import IMAGES, METHOD, SHAPE

from fluxpath.errors import InputError
from fluxpath.runtime import NeFLAG
from fluxpath.runtime.attribution.words import row_of
from fluxpath.runtime.records.rows import FORMAT, Head, Row, as_columns, from_columns, stored

HEAD, PATH = Head({"model": "m", "target": None}, SHAPE), Path("out.npz")


@pytest.mark.parametrize("method", [METHOD, NeFLAG(n=2)], ids=["one end", "several ends"])
def test_rows_come_back_from_columns_and_from_json(explainer, method):
    rows = [row_of(f"ä{i}", explainer.attribute(IMAGES[i], method=method)) for i in range(3)]
    rows.append(Row("no score", 1, 2, None, 3, 4))
    assert from_columns(as_columns(rows)) == rows
    assert [Row.read(json.loads(json.dumps(row.entry()))) for row in rows] == rows
    assert (rows[0].end_score is None) == (method != METHOD)


@pytest.mark.parametrize("slashes", range(4))
def test_names_that_are_not_utf8_come_back(slashes):
    """And stay apart from those that look like what is stored for them."""
    ends = ["\udcff", "udcff", "\ud83d\ude00", "\U0001f600", "ud83d\ude00", "\udcff\\udcff", "n", "uDCFF", ""]
    names = [before + "\\" * slashes + end for before in ("", "é", "\udc80") for end in ends]
    rows = [Row(name, 1, 2, None, 3, 4) for name in names]
    assert len({stored(name).encode() for name in names}) == len(names)
    assert from_columns(as_columns(rows)) == rows
    assert [Row.read(json.loads(json.dumps(row.entry()))) for row in rows] == rows
    assert stored("a\\b.png") == "a\\b.png"


def test_a_score_that_is_not_finite_is_none(explainer):
    result = explainer.attribute(IMAGES[0], method=METHOD)
    result.score[0] = np.nan
    assert row_of("x", result).score is None
    assert np.isnan(as_columns([row_of("x", result)])["score"]).all()


def test_a_head_comes_back_from_json():
    assert Head.of(json.loads(json.dumps(HEAD.entry())), PATH) == HEAD


@pytest.mark.parametrize("entry", [None, [], {}, {**HEAD.entry(), "fluxpath": FORMAT + 1}])
def test_what_is_no_head_is_somebody_elses(entry):
    with pytest.raises(InputError, match=r"'out.npz' is no intact result of fluxpath's"):
        Head.of(entry, PATH)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Head({"model": "n", "target": None}, SHAPE), "was written with model n, and this run has m"),
        (Head({"model": "m", "target": "3"}, SHAPE), "was written with target 3, and this run has no target"),
        (Head({"model": "m", "source": "s"}, SHAPE), "was written with source s, and this run has no source"),
        (Head(HEAD.run, (3, 4, 5)), r"attributions of shape \[3, 4, 5\], and the model takes \[1, 4, 5\]"),
    ],
)
def test_runs_that_differ_do_not_belong_together(other, said):
    HEAD.check(Head(dict(HEAD.run), SHAPE), PATH)
    with pytest.raises(InputError, match=said):
        HEAD.check(other, PATH)
