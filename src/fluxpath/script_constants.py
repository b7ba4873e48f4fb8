"""The constants of a TorchScript gradient graph: tensors that lie within the archive's own bytes."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Mapping
from typing import Any, NamedTuple

from fluxpath.errors import ArtifactError

_BYTES = {
    "FloatStorage": 4, "DoubleStorage": 8, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8,
    "IntStorage": 4, "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1,
    "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16,
}  # fmt: skip

_OPCODES = {
    "PROTO", "MARK", "GLOBAL", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "BINUNICODE", "BININT",
    "BININT1", "BININT2", "LONG1", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE", "REDUCE", "NEWFALSE",
    "BINPERSID", "STOP",
}  # fmt: skip
"""What torch's pickler writes for a tuple of tensors."""

_INT64 = 2**63


class _Storage(NamedTuple):
    kind: str
    key: str
    numbers: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


def checked_constants(entries: Mapping[str, bytes]) -> tuple[dict[str, bytes], int]:
    """The entries that hold the constants, with the pickle written anew, and how many constants there are.

    entries: those of the archive, by name without the folder. ArtifactError if the pickle is anything but a
    tuple of tensors on the CPU, or if one of them reaches beyond its entry: torch does not look at an entry's
    length.
    """
    pickled = entries.get("constants.pkl", b"")
    try:
        for opcode, _, _ in pickletools.genops(pickled):
            if opcode.name not in _OPCODES:
                raise ValueError(f"opcode {opcode.name}")
        tensors = _Inert(io.BytesIO(pickled)).load()
        used = {t.storage for t in tensors} if isinstance(tensors, tuple) else set()
        if len({s.key for s in used}) != len(used) or not all(isinstance(t, _Tensor) for t in tensors):
            raise ValueError("not a tuple of tensors")
        for storage in used:
            if len(entries[f"constants/{storage.key}"]) != storage.numbers * _BYTES[storage.kind]:
                raise ValueError("an entry has another size")
    except Exception as error:  # on damaged bytes pickle can raise anything
        raise ArtifactError(
            "the file's constants are not tensors within the file: export the model again"
        ) from error
    kept = {
        f"constants/{s.key}": entries[f"constants/{s.key}"] for s in sorted(used, key=lambda s: int(s.key))
    }
    return {"constants.pkl": _pickled(tensors), **kept}, len(tensors)


class _Inert(pickle.Unpickler):
    """Builds descriptions of tensors, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return _no_hooks
        if module == "torch" and name in _BYTES:
            return name
        raise ValueError(f"{module}.{name}")

    def persistent_load(self, identity: Any) -> _Storage:
        tag, kind, key, place, count = identity
        if tag != "storage" or place != "cpu" or kind not in _BYTES or not _count(count):
            raise ValueError("not a storage")
        if not (isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 6):
            raise ValueError("not an entry's name")
        return _Storage(kind, key, count)


def _no_hooks() -> str:
    return "hooks"


def _tensor(storage: Any, offset: Any, sizes: Any, strides: Any, gradient: Any, hooks: Any) -> _Tensor:
    plain = isinstance(storage, _Storage) and gradient is False and hooks == "hooks"
    numbers = isinstance(sizes, tuple) and isinstance(strides, tuple) and len(sizes) == len(strides) <= 64
    if not plain or not numbers or not all(map(_count, (offset, *sizes, *strides))):
        raise ValueError("not a plain tensor")
    last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
    if offset > storage.numbers or math.prod(sizes) >= _INT64 or (0 not in sizes and last >= storage.numbers):
        raise ValueError("a tensor beyond its storage")
    return _Tensor(storage, offset, sizes, strides)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _INT64


def _pickled(tensors: tuple[_Tensor, ...]) -> bytes:
    """The pickle that torch reads, without references into itself."""
    return b"".join((b"\x80\x02(", *map(_written, tensors), b"t."))


def _written(tensor: _Tensor) -> bytes:
    storage = tensor.storage
    return b"".join((
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        _text("storage"), f"ctorch\n{storage.kind}\n".encode(), _text(storage.key), _text("cpu"),
        _number(storage.numbers), b"tQ", _number(tensor.offset),
        b"(", *map(_number, tensor.sizes), b"t(", *map(_number, tensor.strides), b"t",
        b"\x89ccollections\nOrderedDict\n)RtR",
    ))  # fmt: skip


def _text(text: str) -> bytes:
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


def _number(value: int) -> bytes:
    """A number of 64 bits, as torch reads the opcode LONG1, or a shorter one."""
    return b"J" + value.to_bytes(4, "little") if value < 2**31 else b"\x8a\x08" + value.to_bytes(8, "little")
