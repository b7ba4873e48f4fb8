"""Appends an objective's head and the backward pass to a classifier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from fluxpath import manifest as contract
from fluxpath.export.autodiff import differentiate
from fluxpath.export.builder import Builder, dims
from fluxpath.export.deeplift import rescale
from fluxpath.export.objectives import OBJECTIVES
from fluxpath.export.reading import classifier


def append_gradient(
    model: ir.Model,
    classifier: classifier.Classifier,
    objective: str,
    factored: bool = True,
    baseline: npt.NDArray[np.float32] | None = None,
    dtype: ir.DataType = ir.DataType.FLOAT,
) -> None:
    """Add the target input, the objective's head, the backward pass and the outputs to `model` in place.

    dtype: of the output `gradient`.
    """
    graph, x = model.graph, classifier.input
    op = Builder(graph)
    batch = dims(x)[0]
    apply = None if baseline is None else rescale(op, x, op.constant(baseline[None]))
    target = ir.Value(name=contract.TARGET, type=ir.TensorType(ir.DataType.INT64), shape=ir.Shape([batch]))
    graph.inputs.append(target)
    logits = classifier.logits
    one = classifier.outputs == 1
    compared = op("Reshape", logits, op.ints([-1, 1])) if len(dims(logits)) == 1 else logits
    if logits.dtype not in (None, ir.DataType.FLOAT):  # a model may end in another type than it computes in
        compared = op("Cast", compared, to=int(ir.DataType.FLOAT), dtype=ir.DataType.FLOAT)
    if classifier.binary(objective):
        zeros = op.zeros(op("Shape", compared, dtype=ir.DataType.INT64), compared)
        compared = op("Concat", zeros, compared, axis=1)
    with op.within("objective"):
        label, onehot = _choose(op, compared, target, classifier.classes(objective))
        head = OBJECTIVES[classifier.effective(objective)].build(op, compared, onehot)
    seed = head.seed
    if classifier.binary(objective):
        seed = op("Slice", seed, op.ints([1]), op.ints([2]), op.ints([1]))
    if one:
        seed = op("Reshape", seed, op.shape_of(logits))
    if logits.dtype not in (None, seed.dtype):
        assert logits.dtype is not None
        seed = op("Cast", seed, to=int(logits.dtype), dtype=logits.dtype)
    gradient = differentiate(op, logits, seed, x, int(model.opset_imports.get("", 0)), apply)
    scale = head.scale
    if not factored:
        shape = op.ints([-1, *[1] * (len(dims(x)) - 1)])
        gradient = op("Mul", gradient, op("Reshape", scale, shape))
        scale = op("Expand", op.scalar(1.0, scale), op("Shape", scale, dtype=ir.DataType.INT64))
    gradient = _of_type(op, gradient, dtype)
    for name, value, value_dims in (
        (contract.SCORE, head.score, [batch]),
        (contract.LABEL, label, [batch]),
        (contract.GRADIENT, gradient, dims(x)),
        (contract.SCALE, scale, [batch]),
    ):
        # An output of its own node: the value may be an input or serve as another output already.
        out = op("Identity", value)
        out.name, out.shape = name, ir.Shape(value_dims)
        graph.outputs.append(out)


def _of_type(op: Builder, value: ir.Value, dtype: ir.DataType) -> ir.Value:
    """`value` in `dtype`; what was widened from it is taken as it was before."""
    if value.dtype == dtype:
        return value
    producer = value.producer()
    if producer is not None and producer.op_type == "Cast":
        before = producer.inputs[0]
        if before is not None and before.dtype == dtype:
            return before
    return op("Cast", value, to=int(dtype), dtype=dtype)


def _choose(op: Builder, logits: ir.Value, target: ir.Value, classes: int) -> tuple[ir.Value, ir.Value]:
    """The predicted class [batch], and the target (a negative one: the prediction) as a boolean one-hot."""
    label = op("ArgMax", logits, axis=-1, keepdims=0, dtype=ir.DataType.INT64)
    missing = op("Less", target, op.ints(0), dtype=ir.DataType.BOOL)
    chosen = op("Where", missing, label, target, dtype=ir.DataType.INT64)
    column = op("Unsqueeze", chosen, op.ints([1]))
    return label, op("Equal", op.ints(list(range(classes))), column, dtype=ir.DataType.BOOL)
