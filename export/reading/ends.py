"""The outputs of a model file as a gradient graph has them: arrays of numbers, with names of their own."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper, numpy_helper

from fluxpath import manifest as contract
from fluxpath.errors import ModelError

CLASSICAL = "ai.onnx.ml"
"""The domain of the operators that converters of scikit-learn and the like write."""

OURS = {contract.SCORE, contract.LABEL, contract.GRADIENT, contract.SCALE, contract.TARGET}
"""What a gradient graph calls its own."""

_LABELS = ("classlabels_strings", "classlabels_ints", "classlabels_int64s")


def plain_ends(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Change `graph` in place; returns the names of its classes, none where it does not tell them.

    A list of dictionaries from class to probability becomes the array of the probabilities; class names in
    place of numbers are left out; and an output that is called as one of ours is renamed, see `free`.
    ModelError where an output is another kind of list or dictionary.
    """
    names = _class_names(graph)
    for node in graph.node:
        if node.op_type == "ZipMap" and node.domain == CLASSICAL:
            _keep_array(graph, node)
    _refuse_other_outputs(graph)
    for value in [v for v in graph.output if v.type.tensor_type.elem_type == TensorProto.STRING]:
        if len(graph.output) > 1:
            graph.output.remove(value)
    for value in graph.output:
        if value.name in OURS:
            _rename(graph, value.name, free(value.name))
    return names


def free(name: str) -> str:
    """What an output called `name` is called in the gradient graph."""
    return f"model/{name}" if name in OURS else name


def _keep_array(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    """Let the ZipMap `node` give its array as it is."""
    labels = [v for a in node.attribute if a.name in _LABELS for v in helper.get_attribute_value(a)]
    node.op_type, node.domain = "Identity", ""
    del node.attribute[:]
    for value in (*graph.output, *graph.value_info):
        if value.name == node.output[0]:
            made = helper.make_tensor_type_proto(TensorProto.FLOAT, [None, len(labels) or None])
            value.type.CopyFrom(made)


def _refuse_other_outputs(graph: onnx.GraphProto) -> None:
    for value in graph.output:
        kind = value.type.WhichOneof("value")
        if kind in ("sequence_type", "map_type", "optional_type"):
            raise ModelError(
                f"output '{value.name}' is a {kind.removesuffix('_type')}, and outputs must be arrays: leave "
                "it out of the model"
            )


def _class_names(graph: onnx.GraphProto) -> tuple[str, ...]:
    """As a closing operator lists them; numbers that only count the classes are no names."""
    constants = {t.name: t for t in graph.initializer}
    found = []
    for node in graph.node:
        if node.domain != CLASSICAL:
            continue
        if node.op_type in ("ZipMap", "LinearClassifier"):
            found += [list(helper.get_attribute_value(a)) for a in node.attribute if a.name in _LABELS]
        elif node.op_type == "ArrayFeatureExtractor" and node.input[0] in constants:
            found.append(list(numpy_helper.to_array(constants[node.input[0]]).reshape(-1)))
    for labels in reversed(found):
        names = tuple(v.decode() if isinstance(v, bytes) else str(v) for v in labels)
        if names and names != tuple(map(str, range(len(names)))):
            return names
    return ()


def _rename(graph: onnx.GraphProto, name: str, other: str) -> None:
    for entry in (*graph.output, *graph.value_info):
        if entry.name == name:
            entry.name = other
    for node in graph.node:
        node.input[:] = [other if n == name else n for n in node.input]
        node.output[:] = [other if n == name else n for n in node.output]
        for attribute in node.attribute:
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                _rename(inner, name, other)
