"""Runs of many images into every kind of sink: broken off, read back and compared."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from sessions import CLASSES, LinearSession

from fluxpath.manifest import Manifest
from fluxpath.runtime import MFABA

SHAPE = (1, 4, 5)
N = 12
METHOD = MFABA("sharp", step_size=0.05, max_steps=3)
SINKS = ["out.npz", "out.npy", "out.parquet", "folder/"]
FILES = SINKS[:3]
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
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()][1:]
    columns = {
        k: np.array([r[k] for r in rows]) for k in ("name", "target", "label", "score", "steps", "status")
    }
    if path.is_dir():
        columns["files"] = [path / f for r in rows for f in r["files"]]
    else:
        columns["values"] = np.load(path)
    return columns


def check(path, expected, order=range(N)) -> None:
    columns, order = read(path), list(order)
    assert list(columns["name"]) == [ITEMS[i][0] for i in order]
    for key in ("target", "label", "steps", "status"):
        np.testing.assert_array_equal(columns[key], getattr(expected, key)[order])
    np.testing.assert_allclose(columns["score"], expected.score[order], rtol=1e-6)
    if "values" in columns:
        np.testing.assert_array_equal(columns["values"], expected.values[order])
        assert sorted(p.name for p in path.parent.iterdir()) in (
            [path.name], sorted([path.name, "out.jsonl"])
        )  # fmt: skip
    else:
        for file in columns["files"]:
            with Image.open(file) as picture:
                assert picture.size == tuple(side * -(-224 // max(SHAPE[1:])) for side in SHAPE[:0:-1])
        found = {p for p in path.rglob("*") if p.is_file() and p.name != "results.jsonl"}
        assert found == set(columns["files"])
