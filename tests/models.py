"""Small ONNX classifiers with deterministic weights, and their gradients in float64."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from fluxpath import manifest as contract
from fluxpath.export.verification.double import to_float64

SHAPE = {"relu": (2, 8, 8)}
"""Input shapes without the batch, where it is not [1, 6, 6]."""


def shape_of(name: str) -> tuple[int, ...]:
    """The input's shape of the model called `name`."""
    return SHAPE.get(name, (1, 6, 6))


def images(name: str, n: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Images in [0, 1], some with pixels at the ends of the range."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.uniform(-0.1, 1.1, (n, *shape_of(name))), 0, 1).astype(np.float32)


def _model(name: str, nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    classes = 4
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", *shape_of(name)])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])],
        [
            numpy_helper.from_array(w.astype(np.float32 if w.dtype == float else w.dtype), k)
            for k, w in weights.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _dense(rng: np.random.Generator, inputs: int, outputs: int, gain: float = 1.0) -> np.ndarray:
    return rng.standard_normal((inputs, outputs)) * gain / np.sqrt(inputs)


def smooth() -> onnx.ModelProto:
    """Flatten, Gemm, Tanh, Gemm, Sigmoid, Gemm: no kinks, and boundaries a few steps away."""
    rng = np.random.default_rng(1)
    sizes = [(36, 20, 3.0), (20, 16, 3.0), (16, 4, 6.0)]
    weights = {f"w{i}": _dense(rng, *size) for i, size in enumerate(sizes)}
    # Centred on mid-grey, else one class would win everywhere.
    weights["b0"] = -0.5 * weights["w0"].sum(axis=0)
    weights["b1"] = 0.1 * rng.standard_normal(16)
    weights["b2"] = -0.5 * weights["w2"].sum(axis=0)
    nodes = [
        helper.make_node("Flatten", ["image"], ["x"]),
        helper.make_node("Gemm", ["x", "w0", "b0"], ["z0"]),
        helper.make_node("Tanh", ["z0"], ["a0"]),
        helper.make_node("Gemm", ["a0", "w1", "b1"], ["z1"]),
        helper.make_node("Sigmoid", ["z1"], ["a1"]),
        helper.make_node("Gemm", ["a1", "w2", "b2"], ["logits"]),
    ]
    return _model("smooth", nodes, weights)


def relu() -> onnx.ModelProto:
    """Conv, Relu, MaxPool, Conv, Relu, GlobalAveragePool, Gemm."""
    rng = np.random.default_rng(2)
    weights = {
        "k0": rng.standard_normal((6, 2, 3, 3)) / 3,
        "b0": 0.1 * rng.standard_normal(6),
        "k1": rng.standard_normal((8, 6, 3, 3)) / 5,
        "b1": 0.1 * rng.standard_normal(8),
        "w": _dense(rng, 8, 4, 12.0),
        "b": np.zeros(4),
    }
    nodes = [
        helper.make_node("Conv", ["image", "k0", "b0"], ["c0"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c0"], ["a0"]),
        helper.make_node("MaxPool", ["a0"], ["p0"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p0", "k1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["a1"]),
        helper.make_node("GlobalAveragePool", ["a1"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["x"]),
        helper.make_node("Gemm", ["x", "w", "b"], ["logits"]),
    ]
    return _model("relu", nodes, weights)


def _linear(name: str, weight: np.ndarray, favour: float = 0.0) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Flatten", ["image"], ["x"]),
        helper.make_node("Gemm", ["x", "w", "b"], ["logits"]),
    ]
    bias = -0.5 * weight.sum(axis=0) + favour * np.eye(4)[0]
    return _model(name, nodes, {"w": weight, "b": bias})


def linear() -> onnx.ModelProto:
    """Flatten, Gemm."""
    return _linear("linear", _dense(np.random.default_rng(3), 36, 4, 3.0))


def flat() -> onnx.ModelProto:
    """A linear model whose weights are zero: no gradient anywhere, class 0 always."""
    return _linear("flat", np.zeros((36, 4)))


def sure() -> onnx.ModelProto:
    """The linear model with class 0 ahead by so much that 1 - p is 1e-17 and no walk ever leaves it."""
    return _linear("sure", _dense(np.random.default_rng(3), 36, 4, 3.0), favour=40.0)


def surer() -> onnx.ModelProto:
    """The same with 1 - p of 1e-30, whose square float32 cannot express."""
    return _linear("surer", _dense(np.random.default_rng(3), 36, 4, 3.0), favour=70.0)


def surest() -> onnx.ModelProto:
    """The same with 1 - p of 1e-77, which float32 cannot express."""
    return _linear("surest", _dense(np.random.default_rng(3), 36, 4, 3.0), favour=177.0)


def surest_flat() -> onnx.ModelProto:
    """As sure, and without a gradient. (Its logits are of both signs: else they look like probabilities.)"""
    model = _linear("surest_flat", np.zeros((36, 4)))
    bias = 177 * np.array([0.75, -0.25, -0.25, -0.25], np.float32)
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(bias, "b"))
    return model


def steep() -> onnx.ModelProto:
    """A linear model whose logits differ by thousands, but close to the boundary."""
    return _linear("steep", 1e4 * _dense(np.random.default_rng(3), 36, 4, 3.0))


def hole() -> onnx.ModelProto:
    """A linear model that gives NaN at the black image: its logits times sum(x) / sum(x)."""
    nodes = [
        helper.make_node("Flatten", ["image"], ["x"]),
        helper.make_node("Gemm", ["x", "w"], ["z"]),
        helper.make_node("ReduceSum", ["x", "axis"], ["total"], keepdims=1),
        helper.make_node("Div", ["total", "total"], ["one"]),
        helper.make_node("Mul", ["z", "one"], ["logits"]),
    ]
    return _model("hole", nodes, {"w": _dense(np.random.default_rng(4), 36, 4), "axis": np.array([1])})


def smooth255() -> onnx.ModelProto:
    """The smooth model behind a division by 255: for images in [0, 255]."""
    model = smooth()
    model.graph.node[0].input[0] = "shares"
    model.graph.node.insert(0, helper.make_node("Div", ["image", "width"], ["shares"]))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(255), "width"))
    return model


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    m.__name__: m
    for m in (smooth, smooth255, relu, linear, sure, surer, surest, surest_flat, steep, flat, hole)
}


def write(name: str, path: Path) -> None:
    """The forward model called `name`, as a file."""
    onnx.save(MODELS[name](), path)


def initializer(name: str, weight: str) -> np.ndarray:
    """A weight of that model."""
    return next(numpy_helper.to_array(w) for w in MODELS[name]().graph.initializer if w.name == weight)


class Float64Gradient:
    """The gradient graph in `path` in float64: point -> (score, label, gradient) for one target.

    `target` None is the class predicted at the first point that is asked.
    """

    def __init__(self, path: Path, target: int | None = None) -> None:
        self._model = ReferenceEvaluator(to_float64(ir.from_proto(onnx.load(path))))
        self._target = target

    def for_target(self, target: int | None) -> Float64Gradient:
        """The same model, another class."""
        other = Float64Gradient.__new__(Float64Gradient)
        other._model, other._target = self._model, target
        return other

    def __call__(self, point: npt.NDArray[np.float64]) -> tuple[float, int, npt.NDArray[np.float64]]:
        target = -1 if self._target is None else self._target
        names = [contract.SCORE, contract.LABEL, contract.GRADIENT, contract.SCALE]
        feeds = {"image": point[None], contract.TARGET: np.array([target], np.int64)}
        score, label, gradient, scale = self._model.run(names, feeds)
        assert gradient.dtype == scale.dtype == score.dtype == np.float64
        if self._target is None:
            self._target = int(label[0])
        return float(score[0]), int(label[0]), gradient[0] * scale[0]
