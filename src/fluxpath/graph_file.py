"""What an ONNX gradient graph may hold: nodes of the ONNX standard, and weights within its own two files.

ONNX Runtime would read a tensor from any file that the model names, and perhaps another file than the one
whose seal was looked at. So the model is searched for such tensors before it is parsed, and the runtime is
given their bytes. This needs only the standard library.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fluxpath.errors import ArtifactError
from fluxpath.wire import COUNTED, VARINT, fields, varint

_PARTS: dict[str, dict[int, str]] = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
"""The fields of ONNX's messages that lead to nodes or tensors, and what is in them."""

_REFUSED = {("model", 20): "training information", ("model", 25): "functions"}
_DOMAIN = 7
_STANDARD = (b"", b"ai.onnx")
_DEEPEST = 10
"""How deep graphs may lie within graphs: ONNX Runtime takes minutes for twenty."""

_DIMS, _TYPE, _NAME, _EXTERNAL, _LOCATION = 1, 2, 8, 13, 14
_ENCODED = {
    _DIMS: (VARINT, COUNTED), _TYPE: (VARINT,), _NAME: (COUNTED,), _EXTERNAL: (COUNTED,), _LOCATION: (VARINT,)
}  # fmt: skip
ELEMENT_BYTES = {1: 4, 10: 2, 11: 8, 16: 2}
"""Bytes of an element by ONNX's number of its type, for the types that a second file can hold."""

_ALIGNMENT = 4096


@dataclass(frozen=True)
class External:
    """A tensor in the second file: name, ONNX's number of the element type, sizes, place of its bytes."""

    name: str
    element: int
    dims: tuple[int, ...]
    start: int
    end: int


def external_tensors(data: bytes, location: str | None, size: int) -> tuple[External, ...]:
    """The tensors of a serialized ONNX model that are in its second file, `location`, of `size` bytes.

    location: None if the model has no second file. ArtifactError if a tensor is in any other file or
    beyond the end of this one, or if the model holds what no export writes: nodes beyond the ONNX
    standard, functions, training information.
    """
    found: list[External] = []
    todo = [("model", 0, len(data), 0)]
    try:
        while todo:
            what, start, end, depth = todo.pop()
            if what == "tensor":
                tensor = _external(data, start, end, location, size)
                if tensor is not None:
                    if depth != 2:
                        raise ArtifactError(
                            "the graph holds a tensor in another file, within a node: export again"
                        )
                    found.append(tensor)
                continue
            if depth > 3 * _DEEPEST:
                raise ArtifactError(
                    f"the graph holds graphs nested deeper than {_DEEPEST}: export the model again"
                )
            parts = _PARTS[what]
            for number, kind, a, b in fields(data, start, end):
                if (what, number) in _REFUSED:
                    raise ArtifactError(f"the model holds {_REFUSED[what, number]}, which no export writes")
                if what == "node" and number == _DOMAIN and data[a:b] not in _STANDARD:
                    domain = data[a:b].decode("utf-8", "replace")[:60]
                    raise ArtifactError(
                        f"the graph holds a node of the domain {domain!a}, and a gradient graph has only "
                        "nodes of the ONNX standard: export the model again"
                    )
                if number in parts:
                    if kind != COUNTED:
                        raise ValueError("not a model")
                    todo.append((parts[number], a, b, depth + 1))
    except (IndexError, ValueError) as error:
        raise ArtifactError("the file is sealed but no ONNX model: export the model again") from error
    if len({t.name for t in found}) != len(found):
        raise ArtifactError("the graph holds two tensors of one name: export the model again")
    return tuple(found)


def _external(data: bytes, start: int, end: int, location: str | None, size: int) -> External | None:
    """The tensor between `start` and `end`, or None if it lies in the model itself."""
    entries: list[tuple[str, str]] = []
    dims: list[int] = []
    name, element, elsewhere = "", 0, False
    for number, kind, a, b in fields(data, start, end):
        if number in _ENCODED and kind not in _ENCODED[number]:
            raise ValueError("not a tensor")  # a parser would pass over it
        if number == _LOCATION:
            elsewhere |= varint(data, a)[0] != 0
        elif number == _EXTERNAL:
            parts = {part: data[c:d].decode() for part, how, c, d in fields(data, a, b) if how == COUNTED}
            entries.append((parts.get(1, ""), parts.get(2, "")))
        elif number == _NAME:
            name = data[a:b].decode()
        elif number == _TYPE:
            element = varint(data, a)[0]
        elif number == _DIMS:
            at = a
            while at < b:
                value, at = varint(data, at)
                dims.append(value)
    if not elsewhere and not entries:
        return None
    given = dict(entries)
    if location is None or given.get("location") != location:
        raise ArtifactError(
            f"the tensor {name[:60]!a} lies in the file {given.get('location', '')[:60]!a}, which is not "
            "under the seal: export the model again"
        )
    digits = [given.get(key, "") for key in ("offset", "length")]
    if (
        len(entries) != 3
        or len(given) != 3
        or not all(d.isascii() and d.isdigit() and len(d) < 20 for d in digits)
    ):
        raise ArtifactError(f"the place of the tensor {name[:60]!a} cannot be read: export the model again")
    offset, length = map(int, digits)
    fits = length == math.prod(dims) * ELEMENT_BYTES.get(element, -1)
    if not fits or offset + length > size or offset % _ALIGNMENT:
        raise ArtifactError(
            f"the tensor {name[:60]!a} does not fit into '{location}': export the model again"
        )
    return External(name, element, tuple(dims), offset, offset + length)
