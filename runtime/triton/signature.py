"""Inputs and outputs of a whole method's file, read from its bytes.

ONNX Runtime would tell them only where it can run the file, which may be on another machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from fluxpath.errors import ArtifactError
from fluxpath.wire import COUNTED, VARINT, fields, varint

_GRAPH = 7
_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12
_TENSOR_NAME = 8
_NAME, _TYPE = 1, 2
_TENSOR, _ELEMENT, _SHAPE, _DIM, _SIZE, _SIZE_NAME = 1, 1, 2, 1, 1, 2
_DTYPES = {1: "float32", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64"}
"""numpy's names of element types by ONNX's numbers."""


@dataclass(frozen=True)
class Value:
    """An input or output: its name, numpy's name of its type, and its sizes; an open one is a text."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


def signature_of(data: bytes, path: object) -> tuple[list[Value], list[Value]]:
    """The inputs that must be given, and the outputs, of a serialized model; ArtifactError if it is none."""
    found: dict[int, list[Value]] = {_INPUT: [], _OUTPUT: []}
    defaults: set[str] = set()
    try:
        for start, end in _parts(data, 0, len(data), _GRAPH):
            for number, kind, a, b in fields(data, start, end):
                if number in found and kind == COUNTED:
                    found[number].append(_value(data, a, b))
                elif number == _INITIALIZER and kind == COUNTED:
                    defaults.update(data[c:d].decode() for c, d in _parts(data, a, b, _TENSOR_NAME))
    except (IndexError, KeyError, ValueError) as error:
        raise ArtifactError(f"'{path}' is sealed but no ONNX model: export the model again") from error
    return [v for v in found[_INPUT] if v.name not in defaults], found[_OUTPUT]


def _parts(data: bytes, start: int, end: int, wanted: int) -> list[tuple[int, int]]:
    return [(a, b) for number, kind, a, b in fields(data, start, end) if (number, kind) == (wanted, COUNTED)]


def _value(data: bytes, start: int, end: int) -> Value:
    ((a, b),) = _parts(data, start, end, _NAME)
    name = data[a:b].decode()
    ((a, b),) = _parts(data, start, end, _TYPE)
    ((a, b),) = _parts(data, a, b, _TENSOR)
    element = next(varint(data, c)[0] for number, _, c, _ in fields(data, a, b) if number == _ELEMENT)
    ((a, b),) = _parts(data, a, b, _SHAPE)
    return Value(name, _DTYPES[element], tuple(_size(data, c, d) for c, d in _parts(data, a, b, _DIM)))


def _size(data: bytes, start: int, end: int) -> int | str:
    """A size is a number (field 1) or a name (field 2), and may be neither: an empty text."""
    for number, kind, a, b in fields(data, start, end):
        if (number, kind) in ((_SIZE, VARINT), (_SIZE_NAME, COUNTED)):
            return varint(data, a)[0] if number == _SIZE else data[a:b].decode()
    return ""
