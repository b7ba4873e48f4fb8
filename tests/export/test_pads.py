"""A zero Pad in front of a MaxPool: right in ONNX Runtime as anybody opens it, on negative numbers too."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import numpy as np
import onnx
import pytest
import small
from onnx.reference import ReferenceEvaluator

from fluxpath.export import _load, _pads

PADS = [0, 0, 1, 1, 0, 0, 1, 1]
POOL = "MaxPool<kernel_shape=[2, 2], strides=[2, 2]>"
TAIL = "f = Flatten(q) y = Gemm(f, v)"
MODELS = {
    "on the path": f"n = Neg(x) a = Pad(n, p) q = {POOL}(a) {TAIL}",
    "an explicit zero": f"n = Neg(x) a = Pad(n, p, o) q = {POOL}(a) {TAIL}",
    "beside the path": f"n = Neg(x) a = Pad(n, p) m = {POOL}(a) k = Floor(m) "
    f"b = MaxPool<kernel_shape=[2, 2], pads=[1, 1, 1, 1], strides=[2, 2]>(x) q = Add(k, b) {TAIL}",
}


def padded(text: str) -> onnx.ModelProto:
    constants = {"o": 0.0} if "Pad(n, p, o)" in text else {}
    return gradcheck.parse(text, "batch,3,4,4", p=PADS, v=(27, 5), **constants)


@pytest.mark.parametrize("name", MODELS)
def test_the_file_is_right_in_a_default_session(name: str, tmp_path: Path) -> None:
    model = padded(MODELS[name])
    exported = small.export(model, tmp_path)
    assert exported.verification.error < 1e-5
    x = small.images(3) + 0.1
    out = small.run(exported.path, x, 0)
    np.testing.assert_allclose(out["y"], ReferenceEvaluator(model).run(None, {"x": x})[0], rtol=1e-5)


def fillers(text: str) -> list[str]:
    """What the Pads of the prepared model pad with, as text, which tells -0.0 from 0.0."""
    model = _load.infer_shapes(_load.prepare(padded(text)))
    _pads.keep_pads(model)
    given = [
        node.inputs[2] if len(node.inputs) > 2 else None for node in model.graph if node.op_type == "Pad"
    ]
    return ["" if v is None else str(v.const_value.numpy()) for v in given]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MODELS["on the path"], "-0.0"),
        (MODELS["an explicit zero"], "-0.0"),
        (f"n = Neg(x) a = Pad(n, p) c = Cast<to=1>(a) q = {POOL}(c) {TAIL}", "-0.0"),
        (f"a = Pad<mode=\"edge\">(x, p) q = {POOL}(a) {TAIL}", ""),
        (f"a = Pad(x, p) q = Average{POOL[3:]}(a) {TAIL}", ""),
    ],
)  # fmt: skip
def test_only_what_would_be_merged_is_changed(text: str, expected: str) -> None:
    assert fillers(text) == [expected]
