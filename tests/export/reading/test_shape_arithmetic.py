"""Shape arithmetic at export: what is known becomes a constant, what is not stays as it was."""

from __future__ import annotations

from typing import Any

import gradcheck
import numpy as np
import onnx_ir as ir
import pytest

from fluxpath.export.builder import constant_of
from fluxpath.export.reading import load


def settled(text: str, dims: str, **constants: Any) -> ir.Model:
    return gradcheck.inferred(load.prepare(gradcheck.parse(text, dims, **constants)))


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


@pytest.mark.parametrize(
    "shape",
    [
        "s = Shape(x) n = Gather(s, two) m = Unsqueeze(n, zero) r = Concat<axis=0>(minus, m)",
        "s = Shape<start=2>(x) r = Concat<axis=0>(minus, s)",
        "s = Shape(x) t = Slice(s, two, three) r = Concat<axis=0>(minus, t)",
        """s = Shape(x) t = Mul(s, mask) u = Slice(t, one, two) v = Sub(u, one)
            n = Shape<start=2>(x) r = Concat<axis=0>(v, n)""",
        """s = Shape<start=1>(x) p = ReduceProd(s) q = Div(p, p) n = Neg(q)
            t = Shape<start=2>(x) r = Concat<axis=0>(n, t)""",
    ],
)
def test_known_sizes_become_constants(shape: str) -> None:
    constants = {"two": [2], "zero": [0], "three": [3], "one": [1], "minus": [-1], "mask": [1, 0, 1]}
    if "Gather" in shape:
        constants["two"] = np.array(2)
    used = {n: v for n, v in constants.items() if f"({n}" in shape or f" {n}" in shape}
    model = settled(f"{shape} y = Reshape(x, r)", "batch,3,4", **used)
    assert operators(model) == ["Reshape"]
    (node,) = model.graph
    np.testing.assert_array_equal(constant_of(node.inputs[1]), [-1, 4])


@pytest.mark.parametrize(
    "shape",
    [
        "a = Shape<end=1>(x) b = Shape<start=1, end=2>(x) d = Sub(a, b) r = Concat<axis=0>(d, a)",
        "a = Shape<end=1>(x) r = Slice(w, a, five)",
        "a = Shape<end=1>(x) e = Equal(a, one) r = Where(e, w, w)",
        "a = Shape<end=1>(x) r = Max(a, one)",
    ],
)
def test_unknown_sizes_stay(shape: str) -> None:
    constants = {"w": [1, 2, 3, 4, 5], "five": [5], "one": [1]}
    used = {n: v for n, v in constants.items() if f"({n}" in shape or f" {n}" in shape}
    model = settled(f"{shape} f = Cast<to=1>(r) k = ReduceSum(f) y = Mul(x, k)", "a,b", **used)
    assert not [n for n in model.graph.initializers if n.endswith("/known")]


def test_data_is_left_alone() -> None:
    constants = {"i": np.arange(100), "j": np.arange(1, 101)}
    model = settled("k = Mod(i, j) y = Gather<axis=1>(x, k)", "batch,300", **constants)
    assert operators(model) == ["Mod", "Gather"]


def test_a_fixed_batch_is_not_written_into_the_graph() -> None:
    """Expansion and unrolling infer shapes before the batch is made dynamic."""
    model = load.prepare(gradcheck.parse("s = Shape(x) n = Gather(s, i) y = Expand(x, s)", "2,3", i=[0]))
    assert "Shape" in operators(model)


def test_a_split_by_computed_sizes_has_known_shapes() -> None:
    text = """n = Shape<start=1, end=2>(x) h = Div(n, two) s = Concat<axis=0>(h, h)
        p, q = Split<axis=1>(x, s) y = Reshape(q, r)"""
    model = settled(text, "batch,6", two=[2], r=[-1, 3])
    assert [list(map(str, v.shape or [])) for v in next(iter(model.graph)).outputs] == [["batch", "3"]] * 2


def test_pads_as_an_exporter_writes_them_leave_the_batch_its_name() -> None:
    """Inference had made up a name, with which a sum of two branches could not be differentiated."""
    text = """z = ConstantOfShape<value = int64[1] {0}>(four) p = Concat<axis=0>(given, z)
        q = Reshape(p, pairs) t = Transpose<perm=[1, 0]>(q) r = Reshape(t, flat)
        w = Pad(x, r) y = Add(w, w)"""
    constants = {"four": [4], "given": [0, 0, 1, 1], "pairs": [4, 2], "flat": [-1]}
    model = settled(text, "batch,3,4,4", **constants)
    assert operators(model) == ["Pad", "Add"]
    assert [str(d) for d in list(model.graph)[1].outputs[0].shape or []] == ["batch", "5", "4", "4"]
