"""Named arrays as the Open Inference Protocol has them, and their bytes and JSON."""

from __future__ import annotations

import base64
import binascii
import json
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need
from fluxpath.errors import InputError

DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    **{f"{kind}{bits}": np.dtype(f"<{kind[0].lower()}{bits // 8}") for kind in ("INT", "UINT")
       for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
}  # fmt: skip
"""Numpy's types by the protocol's names; BYTES, a list of byte strings, has none."""

DATATYPES = (*DTYPES, "BYTES")
MOST_DIMENSIONS = 8
_PIECE = 8192


@dataclass(frozen=True)
class Tensor:
    """A named array; `data` has the shape and the datatype's dtype, or is a flat list for BYTES.

    texts: whether BYTES came as JSON strings, which cannot hold a photo's bytes but in Base64.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: npt.NDArray[Any] | list[bytes]
    texts: bool = False

    def shaped(self, shape: tuple[int, ...]) -> Tensor:
        """The same numbers in another shape."""
        return replace(self, shape=shape, data=self.array.reshape(shape))

    @property
    def array(self) -> npt.NDArray[Any]:
        """The numbers; InputError for BYTES."""
        need(
            not isinstance(self.data, list),
            f"input '{self.name:.60}' is BYTES, and must hold numbers",
        )
        assert isinstance(self.data, np.ndarray)
        return self.data

    @property
    def strings(self) -> list[bytes]:
        """The byte strings, of texts what their Base64 means; InputError for numbers or bad Base64."""
        need(isinstance(self.data, list), f"input '{self.name:.60}' has datatype {self.datatype}, not BYTES")
        assert isinstance(self.data, list)
        if not self.texts:
            return self.data
        try:
            return [base64.b64decode(text, validate=True) for text in self.data]
        except binascii.Error as error:
            raise InputError(f"input '{self.name:.60}': the text is no Base64: {error}") from error


def checked_head(name: object, datatype: object, shape: object) -> tuple[str, str, tuple[int, ...]]:
    """A tensor's name, datatype and shape; InputError if they are none."""
    need(isinstance(name, str) and name, "an input has no name")
    need(datatype in DATATYPES,
         f"input '{name:.60}' has datatype {datatype!r:.40}, and must have one of "
         f"{', '.join(DATATYPES)}")  # fmt: skip
    whole = isinstance(shape, list | tuple) and all(type(d) is int and 0 <= d < 2**31 for d in shape)
    need(whole and len(shape) <= MOST_DIMENSIONS,  # type: ignore[arg-type]
         f"input '{name:.60}' has shape {shape!r:.60}, and must have a list of up to {MOST_DIMENSIONS} "
         "sizes")  # fmt: skip
    return str(name), str(datatype), tuple(shape)  # type: ignore[arg-type]


def from_raw(name: str, datatype: str, shape: tuple[int, ...], data: memoryview | bytes) -> Tensor:
    """A tensor of little-endian bytes, which it shares; BYTES have their lengths before them."""
    if datatype == "BYTES":
        return Tensor(name, datatype, shape, _split(name, math.prod(shape), memoryview(data)))
    dtype = DTYPES[datatype]
    wanted = math.prod(shape) * dtype.itemsize
    need(len(data) == wanted,
         f"input '{name:.60}' has {len(data)} bytes, and its shape and datatype make {wanted}")  # fmt: skip
    return Tensor(name, datatype, shape, np.frombuffer(data, dtype).reshape(shape))


def _split(name: str, count: int, data: memoryview) -> list[bytes]:
    parts: list[bytes] = []
    at = 0
    while at < len(data):
        need(len(data) - at >= 4, f"input '{name:.60}' ends within the length of a byte string")
        (size,) = struct.unpack_from("<I", data, at)
        at += 4
        need(size <= len(data) - at, f"input '{name:.60}' ends within a byte string of {size} bytes")
        need(len(parts) < count, f"input '{name:.60}' holds more byte strings than its shape says, {count}")
        parts.append(bytes(data[at : at + size]))
        at += size
    need(len(parts) == count, f"input '{name:.60}' holds {len(parts)} byte strings, not {count} as it says")
    return parts


def from_json(name: str, datatype: str, shape: tuple[int, ...], values: object) -> Tensor:
    """A tensor of JSON values, flat or nested as the shape."""
    count = math.prod(shape)
    if datatype == "BYTES":
        texts = list(_flat(values, count + 1))
        right = len(texts) == count and all(isinstance(t, str) for t in texts)
        need(right, f"input '{name:.60}' must hold {count} strings, as its shape says")
        try:
            return Tensor(name, datatype, shape, [str(t).encode() for t in texts], texts=True)
        except UnicodeEncodeError as error:
            raise InputError(f"input '{name:.60}' holds a text that is no Unicode") from error
    try:
        given = np.asarray(values)
    except (ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"input '{name:.60}' is no array of numbers: its rows differ in length") from error
    return Tensor(name, datatype, shape, _numbers(name, datatype, shape, given))


def _numbers(name: str, datatype: str, shape: tuple[int, ...], given: npt.NDArray[Any]) -> npt.NDArray[Any]:
    dtype = DTYPES[datatype]
    kinds = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}[dtype.kind]
    need(given.size == 0 or given.dtype.kind in kinds, f"input '{name:.60}' holds what is no {datatype}")
    need(given.shape == shape or (given.ndim == 1 and given.size == math.prod(shape)),
         f"input '{name:.60}' holds values of shape {list(given.shape)}, and says {list(shape)}")  # fmt: skip
    with np.errstate(all="ignore"):
        array = given.astype(dtype)
    need(dtype.kind == "f" or (array == given).all(), f"input '{name:.60}' holds a number beyond {datatype}")
    return array.reshape(shape)


def _flat(values: object, most: int) -> list[object]:
    """The leaves of nested lists, without recursion, no more than `most`."""
    found: list[object] = []
    stack = [values]
    while stack and len(found) < most:
        value = stack.pop()
        if isinstance(value, list):
            stack.extend(reversed(value))
        else:
            found.append(value)
    return found


def of(name: str, values: npt.NDArray[Any] | Sequence[bytes]) -> Tensor:
    """A tensor with the datatype and the shape that the values have."""
    if not isinstance(values, np.ndarray):
        return Tensor(name, "BYTES", (len(values),), list(values))
    return Tensor(name, datatype_of(values.dtype), values.shape, values)


def datatype_of(dtype: npt.DTypeLike) -> str:
    """The protocol's name of a numpy type."""
    return next(name for name, known in DTYPES.items() if known == np.dtype(dtype))


def to_raw(tensor: Tensor) -> bytes | memoryview:
    """The tensor as bytes: a view where the array is contiguous."""
    if isinstance(tensor.data, list):
        return b"".join(struct.pack("<I", len(part)) + part for part in tensor.data)
    array = np.ascontiguousarray(tensor.data, DTYPES[tensor.datatype])
    return array.reshape(-1).view(np.uint8).data


def to_json(tensor: Tensor) -> str:
    """The tensor's flat JSON list: null for NaN, 1e999 (which every parser reads so) for infinity."""
    if isinstance(tensor.data, list):
        return json.dumps([base64.b64encode(part).decode() for part in tensor.data])
    flat = np.asarray(tensor.data).reshape(-1)
    # In pieces, so that other threads have a turn between two of them.
    pieces = (json.dumps(flat[at : at + _PIECE].tolist())[1:-1] for at in range(0, len(flat), _PIECE))
    text = f"[{', '.join(pieces)}]"
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        text = text.replace("NaN", "null").replace("Infinity", "1e999")
    return text
