"""Files of an evaluation: rows and summary as they are, whole or not at all."""

from __future__ import annotations

import csv
import json
import math
import sys

import numpy as np
import pytest
from evaluated import METHODS, METRICS, NAMES, Covered, evaluated

from fluxpath.errors import InputError
from fluxpath.runtime.evaluation import saving
from fluxpath.runtime.evaluation.saving import OUTPUTS, plain


@pytest.fixture(scope="module")
def found(graph):
    metrics = {**METRICS, "covered": Covered()}
    return evaluated(graph("smooth", class_names=NAMES), 12, metrics=metrics)


def test_csv_has_the_rows(found, tmp_path):
    assert found.save(tmp_path / "r.csv") == [tmp_path / "r.csv"]
    with open(tmp_path / "r.csv", newline="", encoding="utf-8") as file:
        read = list(csv.DictReader(file))
    for row, wanted in zip(read, found.rows, strict=True):
        assert list(row) == list(wanted)
        assert float(row["insertion"]) == wanted["insertion"] and row["class_name"] == wanted["class_name"]
        assert row["covered"] == "" and int(row["label"]) == wanted["label"]


def test_parquet_has_the_rows(found, tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(saving, "GROUP", 5)
    found.save(tmp_path / "r.parquet")
    table = parquet.read_table(tmp_path / "r.parquet")
    rows = [
        {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in r.items()} for r in found.rows
    ]
    assert table.to_pylist() == rows
    assert (
        str(table.schema.field("steps").type) == "int64"
        and str(table.schema.field("covered").type) == "double"
    )


def test_json_has_the_summary(found, tmp_path):
    found.save(tmp_path / "r.json")
    told = json.loads((tmp_path / "r.json").read_text())
    assert told["images"] == 12 and told["accuracy"] == found.accuracy
    for metric in METRICS:
        entries = told["metrics"][metric]["methods"]
        for entry, standing in zip(entries, found.standings(metric), strict=True):
            assert entry["method"] == standing.name and entry["group"] == standing.group
            assert entry["mean"]["low"] == standing.mean.low
    curve = told["metrics"]["insertion"]["curves"]["ig"]["probability"]
    np.testing.assert_array_equal(curve["mean"], found.curves["insertion"]["ig"]["probability"].mean)
    assert told["metrics"]["covered"]["methods"][0]["mean"]["mean"] is None
    assert told["settings"]["methods"]["ig"] == repr(METHODS["ig"]) and told["settings"]["seed"] == 0
    assert set(told["spent"]["gradients"]) == set(METHODS) and told["versions"]["numpy"] == np.__version__
    assert told["model"]["sha256"] and told["machine"]["cores"] and told["date"].endswith("UTC")


def test_a_folder_gets_every_form(found, tmp_path, monkeypatch):
    assert [path.name for path in found.save(tmp_path)] == list(OUTPUTS)
    with pytest.raises(InputError, match="is there already"):
        found.save(tmp_path)
    (tmp_path / "bare").mkdir()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert [path.suffix for path in found.save(tmp_path / "bare")] == [".html", ".csv", ".json"]
    with pytest.raises(InputError, match="fluxpath\\[parquet\\]"):
        found.save(tmp_path / "r.parquet")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("name", "said"), [("r.txt", "is neither a folder"), ("no/r.csv", "there is no folder"), ("", "is empty")]
)
def test_wrong_paths(found, tmp_path, monkeypatch, name, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        found.save(name)


def test_a_failing_form_leaves_no_file(found, tmp_path, monkeypatch):
    monkeypatch.setitem(saving.FORMS, ".csv", lambda found, path: path.write_text("half") / 0)
    with pytest.raises(ZeroDivisionError):
        found.save(tmp_path / "r.csv")
    assert list(tmp_path.iterdir()) == []


def test_json_has_no_numbers_that_it_has_not():
    assert plain({"a": [math.nan, math.inf, 1.5], "b\udcff": ("c", None)}) == {
        "a": [None, None, 1.5],
        "b\\udcff": ["c", None],
    }
