"""Finds a classifier's input and logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import onnx_ir as ir

from fluxpath.errors import ModelError
from fluxpath.export.builder import Builder, dims
from fluxpath.export.reading.inference import infer_shapes
from fluxpath.export.reading.probabilities import PER_ROW, PROBABILITIES, before_probabilities, logarithms
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


def fix_sizes(model: ir.Model, input_name: str | None, shape: Sequence[int] | None) -> ir.Model:
    """Give the explained input the sizes `shape`, without the batch, where the model leaves them open."""
    x = explained_input(model, input_name)
    if shape is None:
        return model
    given = dims(x)[1:]
    if len(given) != len(shape) or any(
        isinstance(d, int) and d != n for d, n in zip(given, shape, strict=False)
    ):
        known = ", ".join(str(d) if isinstance(d, int) else "?" for d in given)
        raise ModelError(f"shape is {list(shape)}, and input '{x.name}' has the sizes [{known}]")
    sizes = {d: n for d, n in zip(given, shape, strict=True) if isinstance(d, str)}
    for value in model.graph.inputs:
        if value.shape is not None and value is not x:
            # What has the same name has the same size: a mask beside a sequence.
            first, *rest = dims(value) or [None]
            value.shape = ir.Shape([first, *(sizes.get(d, d) if isinstance(d, str) else d for d in rest)])
    x.shape = ir.Shape([dims(x)[0], *shape])
    forget_shapes(model)
    return model


def forget_shapes(model: ir.Model) -> None:
    """Leave it to shape inference to find all shapes from the inputs'."""
    for value in (*(v for node in model.graph for v in node.outputs), *model.graph.outputs):
        value.shape = None


_LOGITS = "fluxpath/logits"

_FLOATING = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE)


def expose_logits(model: ir.Model, output_name: str | None, among_classes: bool = True) -> ir.Model:
    """Where the logits are found in another form than [batch, classes] or [batch], append them as that.

    Behind a Softmax they may have another form than the output, and a convolution as the last layer leaves
    sizes of one: [batch, classes, 1, 1]. Probabilities that no Softmax made have logarithms, which are
    logits but for a number that all classes share: only an objective `among_classes` can take them.
    """
    output = _output(model, output_name)
    inner = before_probabilities(output)
    op = Builder(model.graph)
    made = logarithms(op, output) if inner is output and among_classes else None
    classes = _classes(output) or _classes(inner)
    in_form = inner.shape is not None and dims(inner)[1:] in ([classes], [])
    if classes is None or (made is None and in_form):
        return model
    logits = op("Reshape", inner if made is None else made, op.ints([-1, classes]))
    batch = dims(output)[0] if output.shape is not None else None
    logits.name, logits.shape = _LOGITS, ir.Shape([batch, classes])
    return model if made is None else infer_shapes(model)


def _classes(value: ir.Value) -> int | None:
    """How many scores a row has, where at most one of its sizes is not one; None where that is not known."""
    sizes = dims(value)[1:] if value.shape is not None and len(value.shape) else [None]
    large = [d for d in sizes if d != 1]
    if len(large) > 1:
        return None
    (count,) = large or [1]
    return count if isinstance(count, int) else None


def find(model: ir.Model, input_name: str | None, output_name: str | None) -> Classifier:
    """The model's ends after shape inference; a closing Softmax, LogSoftmax or Sigmoid is left out.

    The objectives are functions of the logits, and are exact only if they are computed from them. An
    output [batch] counts as one class.
    """
    x = explained_input(model, input_name)
    exposed = [v for node in model.graph for v in node.outputs if v.name == _LOGITS]
    logits = exposed[0] if exposed else before_probabilities(_output(model, output_name))
    # What is appended here has a name that the user has never seen.
    named = _output(model, output_name).name if exposed else logits.name
    try:
        shape = dims(logits)
    except ValueError:
        shape = []
    if len(shape) == 1:
        shape = [shape[0], 1]
    if len(shape) != 2 or not isinstance(shape[1], int):
        raise ModelError(
            f"output '{named}' has shape {shape}, and must be [batch, classes] with a fixed number of "
            "classes, or [batch]"
        )
    if shape[1] < 1:
        raise ModelError(f"output '{named}' has no classes: its shape is {shape}")
    if logits.producer() is None:
        raise ModelError(
            f"output '{named}' is an input or a constant, and it must be computed from the input"
        )
    if isinstance(shape[0], int):
        raise ModelError(
            f"output '{named}' keeps a batch of {shape[0]} though the input's is dynamic: export the "
            "model with a dynamic batch dimension"
        )
    companions = tuple(_companion(v) for v in model.graph.inputs if v is not x)
    return Classifier(x, logits, shape[1], companions)


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


def obvious_output(model: ir.Model) -> str:
    """The only output that can be a classifier's scores; ModelError, which lists them, where several can.

    One called "logits" is it. Outputs that are the same scores, such as logits and their Softmax, count as
    one. Shapes must have been inferred.
    """
    outputs = model.graph.outputs
    if not outputs:
        raise ModelError("the model has no output, and it must have one of scores to explain")
    possible = [v for v in outputs if _may_be_scores(v)]
    called = [v for v in outputs if str(v.name).lower() == "logits"]
    if len(called) == 1:
        return str(called[0].name)
    if len({id(_scores_behind(v)) for v in possible}) == 1:
        return str(possible[0].name)
    if not possible:
        return str(outputs[0].name)
    listed = ", ".join(f"'{v.name}' {_described(v)}" for v in outputs)
    raise ModelError(
        f"the model has the outputs {listed}, and more than one of them may be the classes' scores: name the "
        "one to explain with output= (on the command line, --logits NAME)"
    )


def _may_be_scores(value: ir.Value) -> bool:
    floating = value.dtype in (None, *_FLOATING)
    unknown = value.shape is None
    return floating and (unknown or len(dims(value)) == 1 or _classes(value) is not None)


def _scores_behind(value: ir.Value) -> ir.Value:
    """What `value` was made of by steps that leave the order of a row's entries as it was."""
    producer = value.producer()
    while producer is not None and producer.op_type in {*PER_ROW, *PROBABILITIES}:
        first = producer.inputs[0]
        if first is None:
            break
        value, producer = first, first.producer()
    return value


def _described(value: ir.Value) -> str:
    kind = value.dtype.name.lower() if value.dtype is not None else "of unknown type"
    if value.shape is None:
        return kind
    return f"{kind} [{', '.join('?' if d is None else str(d) for d in dims(value))}]"


def _output(model: ir.Model, name: str | None) -> ir.Value:
    outputs = {v.name: v for v in model.graph.outputs}
    if name is None:
        return outputs[obvious_output(model)]
    inner = {v.name: v for node in model.graph for v in node.outputs}
    if name not in outputs and name not in inner:
        raise ModelError(f"the model has no output '{name}', it has {list(outputs)}")
    return outputs.get(name) or inner[name]
