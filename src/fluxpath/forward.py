"""Cuts a gradient graph at its logits: the forward model, in the file's own bytes.

The runtime must do this without onnx, so it works on the wire format. The seal was checked before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fluxpath.errors import ArtifactError
from fluxpath.wire import COUNTED, fields, varint_bytes

_GRAPH, _METADATA = 7, 14
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE = 1, 5, 11, 12, 13
_IN, _OUT, _ATTRIBUTE = 1, 2, 5
_ONE_GRAPH, _GRAPHS = 6, 11
_VALUE_NAME, _VALUE_TYPE, _TENSOR_NAME = 1, 2, 8

OUTPUT = "fluxpath/logits in float32"
"""The output's name: a model may compute its logits in half precision, or not give them itself."""


@dataclass(frozen=True)
class Forward:
    """A serialized model with the one output OUTPUT, and the names of its initializers and inputs."""

    data: bytes
    initializers: frozenset[str]
    inputs: frozenset[str]


def forward_part(data: bytes, logits: str) -> Forward:
    """The part of a serialized ONNX gradient graph that computes `logits`, which it gives as OUTPUT.

    ArtifactError if nothing in the graph computes that.
    """
    try:
        return _cut(data, logits.encode())
    except (IndexError, ValueError) as error:
        raise ArtifactError("the file is sealed but no ONNX model: export the model again") from error


def _cut(data: bytes, logits: bytes) -> Forward:
    view = memoryview(data)
    parts: list[bytes | memoryview] = []
    kept = _Kept(data, logits)
    for number, kind, start, end in fields(data, 0, len(data)):
        if number == _GRAPH and kind == COUNTED:
            parts += _counted(number, b"".join(kept.parts(start, end)))
        elif number != _METADATA:
            parts += _field(view, number, kind, start, end)
    if not kept.found:
        raise ArtifactError(
            f"the graph does not compute '{logits.decode()}', the logits by its manifest: export again"
        )
    return Forward(b"".join(parts), frozenset(kept.initializers), frozenset(kept.inputs))


def _field(view: memoryview, number: int, kind: int, start: int, end: int) -> list[bytes | memoryview]:
    """The parts of a field as it was."""
    if kind == COUNTED:
        return _counted(number, view[start:end])
    return [varint_bytes(number << 3 | kind), view[start:end]]


def _counted(number: int, content: bytes | memoryview) -> list[bytes | memoryview]:
    return [varint_bytes(number << 3 | COUNTED), varint_bytes(len(content)), content]


def _cast(logits: bytes) -> bytes:
    """A node that gives the logits as OUTPUT in float32, which is no work where they are that already."""
    to = [*_counted(1, b"to"), varint_bytes(3 << 3), varint_bytes(1), varint_bytes(20 << 3), varint_bytes(2)]
    parts = [_counted(_IN, logits), _counted(_OUT, OUTPUT.encode()), _counted(4, b"Cast")]
    return b"".join([*(piece for part in parts for piece in part), *_counted(_ATTRIBUTE, b"".join(to))])


class _Kept:
    """The fields of the graph that the logits need."""

    def __init__(self, data: bytes, logits: bytes) -> None:
        self._data, self._view, self._logits = data, memoryview(data), logits
        self.found = False
        self.initializers: list[str] = []
        self.inputs: list[str] = []

    def parts(self, start: int, end: int) -> Iterator[bytes | memoryview]:
        graph = list(fields(self._data, start, end))
        needed, kept = {self._logits}, set[int]()
        # Backwards, because nodes stand in the order in which they are computed.
        for number, _, a, b in reversed(graph):
            if number == _NODE and needed.intersection(self._names(a, b, _OUT)):
                kept.add(a)
                needed.update(self._read_by(a, b))
                self.found |= self._logits in self._names(a, b, _OUT)
        for number, kind, a, b in graph:
            if self._stays(number, a, b, kept, needed):
                yield from _field(self._view, number, kind, a, b)
        yield from _counted(_NODE, _cast(self._logits))
        float32 = b"".join(_counted(1, varint_bytes(1 << 3) + varint_bytes(1)))
        output = [*_counted(_VALUE_NAME, OUTPUT.encode()), *_counted(_VALUE_TYPE, float32)]
        yield from _counted(_OUTPUT, b"".join(output))

    def _stays(self, number: int, start: int, end: int, nodes: set[int], needed: set[bytes]) -> bool:
        if number == _NODE:
            return start in nodes
        if number not in (_INITIALIZER, _INPUT, _VALUE):
            return number != _OUTPUT
        name = self._name(start, end, _TENSOR_NAME if number == _INITIALIZER else _VALUE_NAME)
        if name in needed and number != _VALUE:
            (self.inputs if number == _INPUT else self.initializers).append(name.decode())
        return name in needed

    def _name(self, start: int, end: int, field: int) -> bytes:
        return next(iter(self._names(start, end, field)), b"")

    def _names(self, start: int, end: int, field: int) -> list[bytes]:
        """The values of a message's field of text."""
        return [self._data[a:b] for number, _, a, b in fields(self._data, start, end) if number == field]

    def _read_by(self, start: int, end: int) -> set[bytes]:
        """What a node reads, and the graphs within it."""
        names: set[bytes] = set()
        todo = [(start, end)]
        while todo:
            for number, _, a, b in fields(self._data, *todo.pop()):
                if number == _IN:
                    names.add(self._data[a:b])
                elif number == _ATTRIBUTE:
                    for part, _, c, d in fields(self._data, a, b):
                        if part in (_ONE_GRAPH, _GRAPHS):
                            names.update(self._names_in_graph(c, d, todo))
        names.discard(b"")  # an input that is left out
        return names

    def _names_in_graph(self, start: int, end: int, todo: list[tuple[int, int]]) -> Iterator[bytes]:
        for number, _, a, b in fields(self._data, start, end):
            if number == _NODE:
                todo.append((a, b))
            elif number == _OUTPUT:
                yield self._name(a, b, _VALUE_NAME)
