"""Appends nodes to a graph: the one place where the backward pass touches onnx-ir."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

Dim = int | str | None
"""A dimension: its size, the name of a symbolic one, or None where nothing is known."""


def dims(value: ir.Value) -> list[Dim]:
    """The inferred shape of `value`; ValueError if not even its rank is known."""
    if value.shape is None:
        raise ValueError(f"needs the rank of '{value.name}', which is unknown")
    return [d if isinstance(d, int) else d.value for d in value.shape]


def constant_of(value: ir.Value | None) -> npt.NDArray[Any] | None:
    """The array behind `value` if it is known at export, else None."""
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def initializer(graph: ir.Graph, name: str, array: npt.NDArray[Any]) -> ir.Value:
    """A constant of the graph, with the type and shape of `array`."""
    value = ir.val(name, const_value=ir.tensor(array, name=name))
    value.dtype, value.shape = ir.DataType.from_numpy(array.dtype), ir.Shape(array.shape)
    graph.register_initializer(value)
    return value


def named(graph: ir.Graph, name: str) -> ir.Value:
    """The value of that name, an input or what a node gives; KeyError where there is none."""
    return {str(v.name): v for v in (*graph.inputs, *(v for n in graph for v in n.outputs))}[name]


class Builder:
    """Adds nodes at the end of `graph`, sharing equal small constants.

    `op("Mul", a, b)` returns the node's first output; its element type is that of the first input
    unless `dtype` says otherwise. Shapes of new values are not inferred: no rule needs them. `unbounded` says
    whether the gradients that a backward pass has added may be infinite, which zero times infinity is not.
    Names say who wrote a node, "fluxpath/Conv/Mul_7" within "Conv", so that a runtime's profile does.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.unbounded = False
        self._constants: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = {}
        self._names = {v.name for v in graph.inputs} | set(graph.initializers)
        self._names |= {v.name for node in graph for v in node.outputs}
        self._names |= {node.name for node in graph}
        self._count = 0
        self._writer = ""

    @contextmanager
    def within(self, writer: str) -> Iterator[None]:
        """Name the nodes that are added meanwhile as written by `writer`: a rule's operator, or a part."""
        before, self._writer = self._writer, f"{writer}/"
        try:
            yield
        finally:
            self._writer = before

    def __call__(
        self, op_type: str, *inputs: ir.Value | None, dtype: ir.DataType | None = None, **attributes: Any
    ) -> ir.Value:
        return self.node(op_type, inputs, 1, dtype, attributes)[0]

    def node(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        outputs: int = 1,
        dtype: ir.DataType | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> tuple[ir.Value, ...]:
        """Append one node and return all of its outputs."""
        name = self._fresh(f"fluxpath/{self._writer}{op_type}")
        attrs = ir.convenience.convert_attributes(attributes or {})
        node = ir.Node("", op_type, inputs, attrs, num_outputs=outputs, name=name)
        first = next((v for v in inputs if v is not None), None)
        for index, value in enumerate(node.outputs):
            value.name = name if index == 0 else f"{name}:{index}"
            known = dtype if dtype is not None or first is None else first.dtype
            if known is not None:
                value.dtype = known
        self.graph.append(node)
        return tuple(node.outputs)

    def constant(self, array: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> ir.Value:
        """An initializer holding `array`; equal arrays share one."""
        data = np.asarray(array, dtype, order="C")
        key = (str(data.dtype), data.shape, data.tobytes())
        if key not in self._constants:
            self._constants[key] = initializer(self.graph, self._fresh("fluxpath/constant"), data)
        return self._constants[key]

    def scalar(self, number: float, like: ir.Value) -> ir.Value:
        """A rank-0 constant of `like`'s element type."""
        if like.dtype is None:
            raise ValueError(f"needs the element type of '{like.name}', which is unknown")
        return self.constant(number, like.dtype.numpy())

    def ints(self, numbers: Sequence[int] | int) -> ir.Value:
        """An int64 constant (axes, shapes, pads)."""
        return self.constant(numbers, np.int64)

    def shape_of(self, value: ir.Value) -> ir.Value:
        """The shape of `value` as an operand of Reshape: a constant with at most one -1 if known."""
        if value.shape is not None:
            sizes = [d if isinstance(d, int) else -1 for d in dims(value)]
            if sizes.count(-1) <= 1 and 0 not in sizes:
                return self.ints(sizes)
        return self("Shape", value, dtype=ir.DataType.INT64)

    def zeros(self, shape: ir.Value, like: ir.Value) -> ir.Value:
        """Zeros of `like`'s element type in the run-time shape `shape` (int64 [rank])."""
        return self("Expand", self.scalar(0.0, like), shape)

    def _fresh(self, stem: str) -> str:
        while True:
            name = f"{stem}_{self._count}"
            self._count += 1
            if name not in self._names:
                self._names.add(name)
                return name


def reduce_to(op: Builder, g: ir.Value, shape: Sequence[Dim], target: ir.Value) -> ir.Value:
    """Sum `g`, of the given shape, over the axes along which `target` was broadcast to that shape."""
    wanted = dims(target)
    lead = len(shape) - len(wanted)
    pairs = list(zip(shape[lead:], wanted, strict=True))
    if all(a == b or isinstance(b, int) for a, b in pairs) and None not in wanted:
        axes = [lead + i for i, (a, b) in enumerate(pairs) if b == 1 and a != 1]
        if axes:
            g = op("ReduceSum", g, op.ints(axes), keepdims=1)
        return op("Squeeze", _sum_leading(op, g, lead), op.ints(list(range(lead)))) if lead else g
    return _reduce_at_run_time(op, g, lead, target)


def _sum_leading(op: Builder, g: ir.Value, lead: int) -> ir.Value:
    return op("ReduceSum", g, op.ints(list(range(lead))), keepdims=1)


def _reduce_at_run_time(op: Builder, g: ir.Value, lead: int, target: ir.Value) -> ir.Value:
    """The same where only the running graph knows which dimensions are one."""
    shape = op("Shape", target, dtype=ir.DataType.INT64)
    padded = op("Concat", op.ints([1] * lead), shape, axis=0) if lead else shape
    ones = op("Equal", padded, op.ints(1), dtype=ir.DataType.BOOL)
    axes = op("Reshape", op("NonZero", ones, dtype=ir.DataType.INT64), op.ints([-1]))
    return op("Reshape", op("ReduceSum", g, axes, keepdims=1, noop_with_empty_axes=1), shape)
