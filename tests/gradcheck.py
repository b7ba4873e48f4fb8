"""Checks derivative rules: a small graph, differentiated, against central differences in float64.

A graph is written in ONNX's text form, from `x` to `y`; everything else that it reads is a constant:

    check("y = Conv<strides=[2, 2]>(x, w)", (2, 3, 8, 8), w=(4, 3, 3, 3))

`x` has the given shape at run time, and in the graph a dynamic first dimension unless `dims` says more.
A constant is a shape (then it is random), a list (int64), a number or an array.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import onnx_ir.passes.common as common
import onnxruntime
import plain_operators
from onnx.reference import ReferenceEvaluator

from fluxpath.export.autodiff import differentiate
from fluxpath.export.builder import Builder
from fluxpath.export.passes.batchnorm import fold_batchnorm
from fluxpath.export.reading import load
from fluxpath.export.reading.inference import infer_shapes
from fluxpath.export.reading.shape_arithmetic import fold_shapes
from fluxpath.export.verification.double import to_float64

STEP, DIRECTIONS = 1e-5, 3
DOUBLE_TOLERANCE, SINGLE_TOLERANCE = 1e-6, 1e-5


@dataclass(frozen=True)
class Gradient:
    """The gradient of <seed, y> by x, in float64 by the reference and in float32 by ONNX Runtime; and y."""

    double: np.ndarray
    single: np.ndarray
    y: np.ndarray


def parse(
    text: str, dims: str, opset: int = 20, inputs: str = "", outputs: str = "y", **constants: Any
) -> onnx.ModelProto:
    """The model with the nodes `text`, from x [dims] (and further `inputs`) to y (or `outputs`)."""
    ends = ", ".join(filter(None, [f"float[{dims}] x" if dims else "float x", inputs]))
    header = f'<ir_version: 10, opset_import: ["": {opset}]> graph ({ends}) => ({outputs})'
    model = onnx.parser.parse_model(f"{header} {{ {text} }}")
    rng = np.random.default_rng(1)
    for name, value in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(_constant(value, rng), name))
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    onnx.checker.check_model(model)
    return model


def inferred(model: ir.Model) -> ir.Model:
    """With element types, shapes and shape arithmetic, as an export works on it."""
    return fold_shapes(infer_shapes(model))


def _constant(value: Any, rng: np.random.Generator) -> np.ndarray:
    if isinstance(value, tuple):
        return rng.standard_normal(value).astype(np.float32)
    if isinstance(value, list):
        return np.asarray(value, np.int64)
    return np.asarray(value, None if isinstance(value, np.ndarray) else np.float32)


def differentiated(forward: onnx.ModelProto) -> onnx.ModelProto:
    """`forward` with the further input `seed` (the shape of y) and the further output `gradient`."""
    model = inferred(load.prepare(forward))
    fold_batchnorm(model)
    (x,), (y,) = model.graph.inputs, model.graph.outputs
    op = Builder(model.graph)
    seed = ir.Value(name="seed", type=ir.TensorType(ir.DataType.FLOAT), shape=y.shape)
    model.graph.inputs.append(seed)
    gradient = op("Identity", differentiate(op, y, seed, x, model.opset_imports[""]))
    gradient.name, gradient.shape = "gradient", x.shape
    model.graph.outputs.append(gradient)
    # A Size of the backward pass would keep the whole graph from being captured on a GPU.
    assert not any(node.op_type == "Size" and str(node.name).startswith("fluxpath/") for node in model.graph)
    return ir.to_proto(common.RemoveUnusedNodesPass()(model).model)


def in_double(model: onnx.ModelProto) -> Callable[[dict[str, np.ndarray]], list[np.ndarray]]:
    """Runs `model` in float64 on the reference evaluator."""
    evaluator = ReferenceEvaluator(to_float64(ir.from_proto(model)), new_ops=plain_operators.ALL)
    return lambda feeds: evaluator.run(None, {k: v.astype(np.float64) for k, v in feeds.items()})


def in_single(model: onnx.ModelProto) -> Callable[[dict[str, np.ndarray]], list[np.ndarray]]:
    """Runs `model` in float32 on ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["Pad_Fusion"],
    )
    return lambda feeds: session.run(None, feeds)


def evaluate(
    text: str, x: np.ndarray, seed: np.ndarray | None = None, *, dims: str | None = None, **options: Any
) -> Gradient:
    """The gradient at the point `x`, by default of the sum of y."""
    forward = parse(text, _dynamic(x.shape) if dims is None else dims, **options)
    x = x.astype(np.float32)
    if seed is None:
        seed = np.ones(in_single(forward)({"x": x})[0].shape)
    return _gradients(differentiated(forward), {"x": x, "seed": seed.astype(np.float32)})


def fixed(shape: tuple[int, ...]) -> str:
    """The `dims` of a graph that takes this shape only."""
    return ",".join(map(str, shape))


def _dynamic(shape: tuple[int, ...]) -> str:
    return ",".join(["batch", *map(str, shape[1:])])


def _gradients(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> Gradient:
    onnx.checker.check_model(model, full_check=True)
    domains = {node.domain for node in model.graph.node} | {o.domain for o in model.opset_import}
    assert domains == {""}, f"operators outside of the standard: {domains}"
    y, double = in_double(model)(feeds)[:2]
    return Gradient(double, in_single(model)(feeds)[1], y)


def check(text: str, shape: tuple[int, ...], *, dims: str | None = None, **options: Any) -> None:
    """AssertionError unless the gradient of `text` is right in shape and value."""
    check_model(parse(text, _dynamic(shape) if dims is None else dims, **options), shape)


def check_model(forward: onnx.ModelProto, shape: tuple[int, ...]) -> None:
    """AssertionError unless the gradient of the first output of `forward` is right."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal(shape).astype(np.float32)
    double = in_double(forward)
    y = double({"x": x})[0]
    np.testing.assert_allclose(in_single(forward)({"x": x})[0], y, 1e-4, 1e-5, err_msg="forward, float32")
    seed = rng.standard_normal(y.shape).astype(np.float32)
    found = _gradients(differentiated(forward), {"x": x, "seed": seed})
    np.testing.assert_allclose(found.y, y, 1e-6, 1e-6, err_msg="forward, after preparation")
    for gradient in (found.double, found.single):
        assert gradient.shape == x.shape, f"gradient of shape {gradient.shape} for x of {x.shape}"
    assert (found.double.dtype, found.single.dtype) == (np.float64, np.float32)
    norm = np.linalg.norm(found.double)
    assert norm > 0, "the gradient is zero, which every rule gets right"
    for _ in range(DIRECTIONS):
        v = rng.standard_normal(shape)
        ahead, behind = (double({"x": x + sign * STEP * v})[0] for sign in (1.0, -1.0))
        true = ((ahead - behind) * seed).sum() / (2 * STEP)
        given = (found.double * v).sum()
        error = abs(given - true) / norm
        assert error <= DOUBLE_TOLERANCE, f"float64: off by {error:.1e} of the norm, {given} for {true}"
    error = np.abs(found.single - found.double).max() / np.abs(found.double).max()
    assert error <= SINGLE_TOLERANCE, f"float32: off by {error:.1e} of the largest entry"
