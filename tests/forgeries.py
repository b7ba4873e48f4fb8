"""Gradient graphs that somebody forged: each is a change of a right one, and gets a good seal."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Fields = dict[str, Any]
Forgery = Callable[[onnx.ModelProto, Fields], None]


def says(**changes: Any) -> Forgery:
    """The manifest lies."""
    return lambda proto, fields: fields.update(changes)


def gives(output: str, *nodes: tuple[str, list[str], list[str]], **tensors: Any) -> Forgery:
    """The graph computes an output otherwise: the right one is called `right` within `nodes`."""

    def forge(proto: onnx.ModelProto, fields: Fields) -> None:
        for node in proto.graph.node:
            node.output[:] = ["right" if name == output else name for name in node.output]
            node.input[:] = ["right" if name == output else name for name in node.input]
        proto.graph.node.extend(helper.make_node(*node) for node in nodes)
        proto.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), k) for k, v in tensors.items())

    return forge


def holds(location: str, offset: str = "0", length: str = "64", weights: str | None = None) -> Forgery:
    """A tensor lies in another file."""

    def forge(proto: onnx.ModelProto, fields: Fields) -> None:
        tensor = TensorProto(name="outside", data_type=TensorProto.UINT8, dims=(64,))
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=value)
        proto.graph.initializer.append(tensor)
        proto.graph.node.append(helper.make_node("Cast", ["outside"], ["outside_float"], to=1))
        if weights is not None:
            fields["weights"] = {"file": weights, "sha256": "0" * 64}

    return forge


def runs(*nodes: onnx.NodeProto, **tensors: Any) -> Forgery:
    """The graph also runs these nodes, whose output `more` is added to the score."""
    add = ("Add", ["right", "more"], ["score"])

    def forge(proto: onnx.ModelProto, fields: Fields) -> None:
        gives("score", **tensors)(proto, fields)
        proto.graph.node.extend([*nodes, helper.make_node(*add)])

    return forge


def _looped(trips: str) -> onnx.NodeProto:
    value, truth = helper.make_tensor_value_info, TensorProto.BOOL
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_on"], ["goes_on"]), helper.make_node("Add", ["v", "v"], ["w"])],
        "body",
        [value("i", TensorProto.INT64, []), value("go_on", truth, []), value("v", TensorProto.FLOAT, [])],
        [value("goes_on", truth, []), value("w", TensorProto.FLOAT, [])],
    )
    return helper.make_node("Loop", [trips, "true", "zero"], ["more"], body=body)


def _nested(proto: onnx.ModelProto, fields: Fields) -> None:
    inner = helper.make_graph([helper.make_node("Identity", ["zero"], ["x0"])], "g", [], [])
    for _ in range(60):
        node = helper.make_node("If", ["true"], ["x"], then_branch=inner, else_branch=inner)
        if node.ByteSize() > 2**22:
            break
        inner = helper.make_graph([node], "g", [], [])
    proto.graph.node.append(helper.make_node("If", ["true"], ["x"], then_branch=inner, else_branch=inner))


def _in_a_node(proto: onnx.ModelProto, fields: Fields) -> None:
    tensor = TensorProto(name="t", data_type=1, dims=(4,), data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    proto.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def _function(proto: onnx.ModelProto, fields: Fields) -> None:
    opset = [helper.make_opsetid("", 20)]
    node = helper.make_node("Relu", ["a"], ["b"])
    proto.functions.append(helper.make_function("d", "f", ["a"], ["b"], [node], opset))


def _claims(dims: list[int]) -> Forgery:
    def forge(proto: onnx.ModelProto, fields: Fields) -> None:
        proto.graph.initializer.append(TensorProto(name="huge", data_type=1, dims=dims))
        proto.graph.node.append(helper.make_node("ReduceSum", ["huge"], ["huge_sum"], keepdims=0))

    return forge


def _domain(name: str) -> Forgery:
    def forge(proto: onnx.ModelProto, fields: Fields) -> None:
        proto.graph.node.append(helper.make_node("Relu", ["label"], ["y"], domain=name))
        proto.opset_import.append(helper.make_opsetid(name, 1))

    return forge


BOMB = base64.b64encode(zlib.compress(bytes(10**8))).decode()
FURTHER = {"name": "m", "dtype": "float32", "shape": []}
NODE = helper.make_node
FORGERIES: dict[str, Forgery] = {
    "more classes": says(classes=1000),
    "fewer classes": says(classes=2),
    "a billion classes": says(classes=10**9),
    "too few names": says(class_names=["a"]),
    "too many names": says(class_names=["a"] * 100),
    "an upside-down range": says(low=1.0, high=0.0),
    "an empty range": says(low=0.5, high=0.5),
    "a huge range": says(low=-3e38, high=3e38),
    "half a range": says(low=None),
    "a size of petabytes": says(shape=[1, 10**12, 6]),
    "sizes of zero": says(shape=[0, 6, 6]),
    "open sizes": says(shape=[None, None, None]),
    "no sizes": says(shape=[]),
    "an unknown precision": says(precision="float4"),
    "a precision that colours the terminal": says(precision="x\x1b[31m"),
    "an objective that colours the terminal": says(objective="x\x1b[31m"),
    "other rules without a baseline": says(rules="deeplift"),
    "a baseline of one value": says(rules="deeplift", baseline="AAAA"),
    "a baseline that unpacks to much": says(rules="deeplift", baseline=BOMB),
    "a gradient of another type": says(gradient="float16"),
    "ten megabytes of text": says(source="s" * 10**7),
    "forty megabytes of text": says(source="s" * 4 * 10**7),
    "an input like the target": says(input="target"),
    "a further input of terabytes": says(companions=[{**FURTHER, "shape": [10**6, 10**6]}]),
    "a further input like the input": says(companions=[{**FURTHER, "name": "image"}]),
    "other outputs": says(outputs=["a"]),
    "no outputs": says(outputs=[]),
    "a hundred thousand outputs": says(outputs=["a"] * 10**5),
    "weights that are a folder": says(weights={"file": "..", "sha256": "0" * 64}),
    "weights without a name": says(weights={"file": "", "sha256": "0" * 64}),
    "weights with a zero in their name": says(weights={"file": "a\0b", "sha256": "0" * 64}),
    "a whole method": says(method="m", settings={}),
    "a label of a billion": gives("label", ("Add", ["right", "n"], ["label"]), n=np.int64(10**9)),
    "a negative label": gives("label", ("Sub", ["right", "n"], ["label"]), n=np.int64(10)),
    "a float label": gives("label", ("Cast", ["score"], ["label"])),
    "two gradients": gives("gradient", ("Concat", ["right", "right"], ["gradient"])),
    "a gradient of NaN": gives("gradient", ("Div", ["right", "n"], ["gradient"]), n=np.float32(0)),
    "a gradient of one row": gives("gradient", ("ReduceSum", ["right", "n"], ["gradient"]), n=np.array([0])),
    "a huge gradient": gives("gradient", ("Expand", ["right", "n"], ["gradient"]), n=np.full(4, 10**4)),
    "a scale of a million": gives("scale", ("Identity", ["n"], ["scale"]), n=np.zeros(10**6, np.float32)),
    "a score of one": gives("score", ("ReduceSum", ["right"], ["score"])),
    "an infinite score": gives("score", ("Div", ["right", "n"], ["score"]), n=np.float32(0)),
    "a file by its whole path": holds("/etc/passwd"),
    "a file above": holds("../../../../etc/passwd"),
    "a file beside": holds("secret.bin"),
    "an address": holds("*/_ORT_MEM_ADDR_/*", "4096"),
    "a device": holds("/dev/zero"),
    "another file than the weights": holds("secret.bin", weights="damaged.onnx"),
    "weights by another path": holds("./damaged.onnx", weights="damaged.onnx"),
    "weights beyond their end": holds("damaged.onnx", str(2**62), weights="damaged.onnx"),
    "weights before their beginning": holds("damaged.onnx", "-64", weights="damaged.onnx"),
    "a file within a node": _in_a_node,
    "terabytes of ones": runs(
        NODE("ConstantOfShape", ["n"], ["ones"]), NODE("ReduceSum", ["ones"], ["more"], keepdims=0),
        n=np.array([10**12]),
    ),
    "a long loop": runs(_looped("n"), n=np.int64(1000), true=np.array(True), zero=np.float32(0)),
    "tensors of 2^60": _claims([2**60]),
    "sizes that overflow": _claims([2**40, 2**40]),
    "a node of another domain": _domain("com.microsoft"),
    "a function": _function,
    "graphs within graphs": _nested,
}  # fmt: skip
