"""Runs of many images into every kind of sink: broken off, read back and compared."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from sessions import CLASSES, LinearSession

from fluxpath.manifest import Manifest
from fluxpath.runtime import MFABA, Explainer
from fluxpath.runtime.records.rows import COLUMNS
from fluxpath.status import Status

SHAPE = (1, 4, 5)
N = 12
METHOD = MFABA("sharp", step_size=0.05, max_steps=3)
SINKS = ["out.npz", "out.npy", "out.parquet", "out.jsonl", "folder/"]
FILES = SINKS[:4]
RNG = np.random.default_rng(7)
IMAGES = RNG.random((N, *SHAPE)).astype(np.float32)
ITEMS = [(f"set {i % 2}/ä{i}.png", image, i % CLASSES) for i, image in enumerate(IMAGES)]


class Pictures(LinearSession):
    """The linear model on small pictures; the manifest has a range."""

    def __init__(self) -> None:
        super().__init__(int(np.prod(SHAPE)))
        self.manifest = Manifest(
            input="image", shape=SHAPE, classes=CLASSES, objective="softmax", opset=20, source="none",
            logits="logits", low=0.0, high=1.0,
        )  # fmt: skip


@pytest.fixture(scope="module")
def explainer():
    with Explainer.from_session(Pictures(), slots=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def expected(explainer):
    return explainer.attribute(IMAGES, [i % CLASSES for i in range(N)], METHOD)


def breaking(at: int, items=ITEMS):
    """The items, but the source breaks."""
    yield from items[:at]
    raise RuntimeError("the source broke")


def interrupted(explainer, path, at=8) -> None:
    with pytest.raises(RuntimeError, match="broke"):
        explainer.attribute_many(breaking(at), path, method=METHOD)


def read(path) -> dict:
    """Any sink's result as columns; values [n, *SHAPE]."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            return dict(file)
    if path.suffix == ".parquet":
        import pyarrow.parquet

        columns = pyarrow.parquet.read_table(path).to_pydict()
        columns["values"] = np.array(columns["values"], np.float32).reshape(-1, *SHAPE)
        return {k: np.array(v) for k, v in columns.items()}
    log = path / "results.jsonl" if path.is_dir() else path.with_suffix(".jsonl")
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    if path.suffix != ".jsonl":
        rows = rows[1:]
    columns = {k: np.array([r[k] for r in rows]) for k in ("name", *COLUMNS)}
    if path.suffix == ".jsonl":
        assert all(r["shape"] == list(SHAPE) and r["run"]["target"] is None for r in rows)
    elif path.is_dir():
        columns["files"] = [path / f for r in rows for f in r["files"]]
    else:
        columns["values"] = np.load(path)
    return columns


def check(path, expected, order=range(N)) -> None:
    columns, order = read(path), list(order)
    assert list(columns["name"]) == [ITEMS[i][0] for i in order]
    for key in ("target", "label", "steps"):
        np.testing.assert_array_equal(columns[key], getattr(expected, key)[order])
    status = [Status(s) for s in expected.status[order]]
    said = status if path.suffix == ".npz" else [s.words for s in status]
    assert columns["status"].tolist() == said
    assert columns["class_name"].tolist() == [str(t) for t in expected.target[order]]
    for key, wanted in (("score", expected.score), ("probability", expected.score)):
        np.testing.assert_allclose(columns[key], wanted[order], rtol=1e-6)
    np.testing.assert_allclose(columns["error_rate"].astype(float), expected.error_rate[order], rtol=1e-6)
    if "values" in columns:
        np.testing.assert_array_equal(columns["values"], expected.values[order])
        assert sorted(p.name for p in path.parent.iterdir()) in (
            [path.name], sorted([path.name, "out.jsonl"])
        )  # fmt: skip
    elif path.suffix == ".jsonl":
        assert [p.name for p in path.parent.iterdir()] == [path.name]
    else:
        for file in columns["files"]:
            with Image.open(file) as picture:
                assert picture.size == tuple(side * -(-224 // max(SHAPE[1:])) for side in SHAPE[:0:-1])
        found = {p for p in path.rglob("*") if p.is_file() and p.name != "results.jsonl"}
        assert found == set(columns["files"])
