"""Models of old operator sets compute after the conversion what they computed before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradcheck
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from fluxpath.export.reading import load

SCALES = [[1, 1, 2, 3], [1, 1, 1.2, 2.5], [1, 1, 0.6, 0.5], [1, 1, 0.7, 1]]


def same(tmp_path: Path, opset: int, operand: list[float] | None, op_type: str, **attributes: Any) -> None:
    node = helper.make_node(op_type, ["x", "s"] if operand else ["x"], ["y"], **attributes)
    x, y = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in (("x", ["batch", 3, 5, 6]), ("y", ["batch", 3, "height", "width"]))
    )
    constants = [onnx.numpy_helper.from_array(np.array(operand, np.float32), "s")] if operand else []
    graph = helper.make_graph([node], "resize", [x], [y], constants)
    old = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path = tmp_path / "old.onnx"
    onnx.save(old, path)
    new = load.read(path).proto
    assert load.opset_of(new) >= load.OLDEST_OPSET
    image = np.random.default_rng(0).standard_normal((2, 3, 5, 6)).astype(np.float32)
    expected, found = (gradcheck.in_single(m)({"x": image})[0] for m in (old, new))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("scales", SCALES, ids=str)
def test_resize_before_coordinate_modes(tmp_path: Path, scales: list[float], mode: str) -> None:
    same(tmp_path, 10, scales, "Resize", mode=mode)
    if min(scales) >= 1:
        same(tmp_path, 9, scales, "Upsample", mode=mode)
        same(tmp_path, 8, None, "Upsample", mode=mode, scales=list(map(float, scales)))
