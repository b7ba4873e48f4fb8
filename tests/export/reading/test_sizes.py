"""Values that no memory holds are refused before anything is folded or run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError
from fluxpath.export.reading import load, sizes

END = " t = ReduceSum<keepdims=0>(e) m = MatMul(x, v) y = Add(m, t)"
DOUBLED = "u0 = MatMul(x, v) " + " ".join(f"u{i + 1} = Concat<axis=1>(u{i}, u{i})" for i in range(40))
BOMBS: dict[str, tuple[str, dict[str, Any]]] = {
    "Expand": ("u = Unsqueeze(x, a) e = Expand(u, s)" + END, {"a": [2], "s": [1, 4, 10**11]}),
    "Tile": ("e = Tile(x, s)" + END, {"s": [1, 10**11]}),
    "ConstantOfShape": ("e = ConstantOfShape(s)" + END, {"s": [10**6, 10**6]}),
    "Pad": ("e = Pad(x, s)" + END, {"s": [0, 0, 0, 10**11]}),
    "Resize": ("q = Unsqueeze(x, a) e = Resize(q, , s)" + END, {
        "a": [1, 2], "s": np.array([1, 1, 1e6, 1e6], np.float32),
    }),
    "Concat": (DOUBLED + " y = ReduceSum<keepdims=1>(u40, a)", {"a": [1]}),
    "Mul": ("c = Mul(p, q) e = Mul(c, x)" + END, {
        "p": np.ones((10**6, 1, 1), np.float32), "q": np.ones((10**6, 1), np.float32),
    }),
}  # fmt: skip


@pytest.mark.parametrize("kind", BOMBS)
def test_a_value_larger_than_memory_is_named(kind: str, tmp_path: Path) -> None:
    text, constants = BOMBS[kind]
    model = gradcheck.parse(text, "batch,4", v=(4, 3), **constants)
    with pytest.raises(ModelError, match=rf"the result of {kind} '.*' has .* numbers .* more memory than"):
        small.export(model, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_a_range_is_not_counted_out(tmp_path: Path) -> None:
    """As the standard's shape inference would, number by number."""
    text = "r = Range(a, b, c) e = Cast<to=1>(r)" + END
    ends = {"a": np.array(0), "b": np.array(9), "c": np.array(1)}
    model = gradcheck.parse(text, "batch,4", v=(4, 3), **ends)
    del model.graph.value_info[:]
    limit = next(t for t in model.graph.initializer if t.name == "b")
    limit.CopyFrom(onnx.numpy_helper.from_array(np.array(10**12), "b"))
    with pytest.raises(ModelError, match=r"the result of Range '.*' has 1e\+12 numbers"):
        small.export(model, tmp_path)


def test_constants_that_double_are_not_folded_without_end() -> None:
    text = " ".join(f"u{i + 1} = Concat<axis=0>(u{i}, u{i})" for i in range(60)) + " y = Add(x, u60)"
    model = gradcheck.parse(text, "batch,4", u0=(1, 4))
    kept = load.prepare(model).graph
    assert 30 < len(kept) < 61


def test_a_usual_model_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where the system does not tell how much there is."""
    monkeypatch.delattr(sizes.os, "sysconf")
    assert sizes.memory() > 2**40
    small.export(small.cnn(), tmp_path)
