"""Finds a classifier's input and logits, and makes its batch dynamic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from fluxpath.errors import ModelError
from fluxpath.export.builder import Builder, constant_of, dims, initializer
from fluxpath.manifest import COMPANION_DTYPES, Companion


@dataclass(frozen=True)
class Classifier:
    """The input to explain [batch, ...], the logits [batch, outputs] or [batch], and further inputs."""

    input: ir.Value
    logits: ir.Value
    outputs: int
    companions: tuple[Companion, ...]

    def binary(self, objective: str) -> bool:
        """Whether the one logit z stands for two classes with the logits 0 and z."""
        return self.outputs == 1 and objective != "logit"

    def classes(self, objective: str) -> int:
        """How many classes there are to choose a target from."""
        return 2 if self.binary(objective) else self.outputs

    def effective(self, objective: str) -> str:
        """The objective on the logits that are compared: the sigmoid of z is the softmax of (0, z)."""
        return "softmax" if self.binary(objective) and objective == "sigmoid" else objective


def make_batch_dynamic(model: ir.Model, input_name: str | None) -> ir.Model:
    """Give the input a symbolic first dimension, before shapes are inferred."""
    x = explained_input(model, input_name)
    if x.shape is None or len(x.shape) < 2:
        raise ModelError(f"input '{x.name}' must have a batch and at least one more dimension")
    fixed = x.shape[0]
    if not isinstance(fixed, int):
        return model
    for value in model.graph.inputs:
        if value.shape is not None and len(value.shape) and value.shape[0] == fixed:
            value.shape = ir.Shape(["batch", *list(value.shape)[1:]])
    moving = {x}
    for node in model.graph:
        if any(v in moving for v in node.inputs):
            moving.update(node.outputs)
            if node.op_type == "Reshape":
                _free_reshape(model.graph, node, fixed)
    for value in [v for node in model.graph for v in node.outputs]:
        value.shape = None
    for value in model.graph.outputs:
        value.shape = None
    return model


def _free_reshape(graph: ir.Graph, node: ir.Node, batch: int) -> None:
    """A constant shape that begins with the fixed batch copies its first dimension from the input."""
    shape = constant_of(node.inputs[1])
    if shape is None or shape.size == 0 or int(shape[0]) != batch:
        return
    name = f"fluxpath/free_shape/{node.name}"
    freed = initializer(graph, name, np.concatenate([[0], shape[1:]]).astype(np.int64))
    node.replace_input_with(1, freed)
    node.attributes.pop("allowzero", None)


_LOGITS = "fluxpath/logits"

_PER_ROW = {"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Clip", "Dropout"}
"""What models and converters put behind a Softmax, and which gives every row the same numbers again."""


def expose_logits(model: ir.Model, output_name: str | None) -> ir.Model:
    """Where a Softmax or the like has another form than the output, append its logits as [batch, classes]."""
    output = _output(model, output_name)
    inner = _before_probabilities(output)
    if inner is output or output.shape is None or len(output.shape) != 2:
        return model
    sizes = dims(output)
    if not isinstance(sizes[1], int) or (inner.shape is not None and dims(inner)[1:] == sizes[1:]):
        return model
    op = Builder(model.graph)
    logits = op("Reshape", inner, op.ints([-1, sizes[1]]))
    logits.name, logits.shape = _LOGITS, ir.Shape(sizes)
    return model


def find(model: ir.Model, input_name: str | None, output_name: str | None) -> Classifier:
    """The model's ends after shape inference; a closing Softmax, LogSoftmax or Sigmoid is left out.

    The objectives are functions of the logits, and are exact only if they are computed from them. An
    output [batch] counts as one class.
    """
    x = explained_input(model, input_name)
    exposed = [v for node in model.graph for v in node.outputs if v.name == _LOGITS]
    logits = exposed[0] if exposed else _before_probabilities(_output(model, output_name))
    try:
        shape = dims(logits)
    except ValueError:
        shape = []
    if len(shape) == 1:
        shape = [shape[0], 1]
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise ModelError(
            f"output '{logits.name}' has shape {shape}, and must be [batch, classes] with a fixed number of "
            "classes, or [batch]"
        )
    if isinstance(shape[0], int):
        raise ModelError(
            f"output '{logits.name}' keeps a batch of {shape[0]} though the input's is dynamic: export the "
            "model with a dynamic batch dimension"
        )
    companions = tuple(_companion(v) for v in model.graph.inputs if v is not x)
    return Classifier(x, logits, shape[1], companions)


def _before_probabilities(output: ir.Value) -> ir.Value:
    """The logits behind an output of probabilities; the output itself where it is none."""
    value, producer = output, output.producer()
    while producer is not None and producer.op_type in _PER_ROW and producer.inputs[0] is not None:
        value, producer = producer.inputs[0], producer.inputs[0].producer()
    if producer is None or producer.op_type not in ("Softmax", "LogSoftmax", "Sigmoid"):
        return output
    inner = producer.inputs[0]
    whole = producer.op_type == "Sigmoid" or _over_the_row(producer.attributes.get_int("axis", -1), value)
    return inner if inner is not None and whole else output


def _over_the_row(axis: int, value: ir.Value) -> bool:
    """Whether `axis` is the one along which a row of `value` has more than one entry."""
    if value.shape is None:
        return axis == -1
    sizes = dims(value)
    axis = axis % len(sizes)
    return axis > 0 and all(d == 1 for i, d in enumerate(sizes) if i not in (0, axis))


def _companion(value: ir.Value) -> Companion:
    """A further input, which must be an array with the batch first."""
    dtype = value.dtype.numpy().name if value.dtype is not None else "unknown"
    if dtype not in COMPANION_DTYPES or value.shape is None or len(value.shape) < 1:
        raise ModelError(
            f"input '{value.name}' has element type {dtype} and shape {value.shape}, and a further input "
            f"must be one of {', '.join(COMPANION_DTYPES)} with the batch as its first dimension"
        )
    if isinstance(value.shape[0], int):
        raise ModelError(
            f"input '{value.name}' has a fixed first dimension of {value.shape[0]}, and it must be the batch"
        )
    return Companion(
        str(value.name), dtype, tuple(d if isinstance(d, int) else None for d in dims(value)[1:])
    )


def explained_input(model: ir.Model, name: str | None) -> ir.Value:
    """The input to explain: the one named, else the only float32 one."""
    inputs = {str(v.name): v for v in model.graph.inputs}
    if not inputs:
        raise ModelError("the model has no input, and it must have an image or the like to explain")
    if name is not None:
        if name not in inputs:
            raise ModelError(f"the model has no input '{name}', it has {list(inputs)}")
        x = inputs[name]
    else:
        floats = [v for v in inputs.values() if v.dtype == ir.DataType.FLOAT]
        if len(inputs) > 1 and len(floats) != 1:
            raise ModelError(f"the model has the inputs {list(inputs)}: name the one to explain with input=")
        x = floats[0] if floats else next(iter(inputs.values()))
    if x.dtype != ir.DataType.FLOAT:
        raise ModelError(f"input '{x.name}' has element type {x.dtype}, and it must be float32")
    return x


def _output(model: ir.Model, name: str | None) -> ir.Value:
    outputs = {v.name: v for v in model.graph.outputs}
    if not outputs:
        raise ModelError("the model has no output, and it must have one of scores to explain")
    if name is None:
        return model.graph.outputs[0]
    inner = {v.name: v for node in model.graph for v in node.outputs}
    if name not in outputs and name not in inner:
        raise ModelError(f"the model has no output '{name}', it has {list(outputs)}")
    return outputs.get(name) or inner[name]
