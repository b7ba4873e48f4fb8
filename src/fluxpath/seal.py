"""The seal that makes a truncated or altered ONNX file detectable before any parser sees it.

The seal is the SHA-256 of everything else in the file and is stored in the manifest, as is the SHA-256 of a
second file of weights. The manifest is read from the file's bytes, which needs only the standard library.
For TorchScript files see `archive.py`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fluxpath.errors import ArtifactError
from fluxpath.manifest import KEY, UNSEALED, Manifest, Weights

_DIGEST = re.compile(rb'"digest": "([0-9a-f]{64})"')

_METADATA = 14
"""The number of the field `metadata_props` in ONNX's ModelProto: entries of a key (1) and a value (2)."""

_VARINT, _EIGHT_BYTES, _COUNTED, _FOUR_BYTES = 0, 1, 2, 5
"""Protobuf's wire types, which say how a field is encoded."""


@dataclass(frozen=True)
class Sealed:
    """The manifest of an intact file, and its SHA-256 in hexadecimal, which identifies the file."""

    manifest: Manifest
    digest: str


def seal(data: bytes) -> bytes:
    """The serialized ONNX model with the SHA-256 of everything else in it written into its manifest."""
    start, end = _digest_span(data, "the file")
    return b"".join((memoryview(data)[:start], _digest(data, start, end), memoryview(data)[end:]))


def unseal(data: bytes, name: str = "the file", whole_method: bool | None = False) -> Sealed:
    """The manifest in `data`; ArtifactError, which calls the file `name`, unless `seal` returned `data`.

    Every bit is checked, before any parser sees the file: a truncated or altered file can neither crash the
    process nor give a wrong attribution. whole_method: see `Manifest.from_json`.
    """
    start, end = _digest_span(data, name)
    digest = _digest(data, start, end)
    if digest != data[start:end]:
        raise ArtifactError(f"{name} is truncated or was altered after export: export the model again")
    text = data[slice(*_manifest_span(data, name))].decode("utf-8", "replace")
    return Sealed(Manifest.from_json(text, whole_method), digest.decode())


def check_weights(path: Path, weights: Weights) -> None:
    """Raise ArtifactError unless the second file is, bit for bit, the one that was written."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise ArtifactError(
            f"the weights in '{path}' cannot be read ({error.strerror}): keep the two files together"
        ) from error
    if digest.hexdigest() != weights.sha256:
        raise ArtifactError(f"the weights in '{path}' are truncated or altered: export the model again")


def _digest(data: bytes, start: int, end: int) -> bytes:
    # Views avoid a copy: a file can have hundreds of megabytes.
    digest = hashlib.sha256(memoryview(data)[:start])
    digest.update(UNSEALED.encode())
    digest.update(memoryview(data)[end:])
    return digest.hexdigest().encode()


def _digest_span(data: bytes, name: str) -> tuple[int, int]:
    found = list(_DIGEST.finditer(data, *_manifest_span(data, name)))
    if not found:
        raise ArtifactError(_foreign(name))
    if len(found) > 1:
        raise ArtifactError(f"{name} holds more than one seal: export the model again")
    return found[0].span(1)


def _manifest_span(data: bytes, name: str) -> tuple[int, int]:
    """Start and end of the manifest's text in a serialized ONNX model; ArtifactError unless there is one."""
    found: list[tuple[int, int]] = []
    try:
        for number, start, end in _fields(data, 0, len(data)):
            if number == _METADATA:
                entry = {part: (a, b) for part, a, b in _fields(data, start, end)}
                if data[slice(*entry.get(1, (0, 0)))] == KEY.encode():
                    found.append(entry.get(2, (0, 0)))
    except (IndexError, ValueError) as error:
        raise ArtifactError(_foreign(name)) from error
    if not found:
        raise ArtifactError(_foreign(name))
    if len(found) > 1:
        raise ArtifactError(f"{name} holds more than one seal: export the model again")
    return found[0]


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each field in a protobuf message; IndexError, ValueError if invalid."""
    while at < end:
        tag, at = _varint(data, at)
        kind, size = tag & 7, 0
        if kind == _COUNTED:
            size, at = _varint(data, at)
        elif kind == _VARINT:
            size = _varint(data, at)[1] - at
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:
            raise ValueError("not a protobuf message")
        if size > end - at:
            raise ValueError("a field is longer than its message")
        yield tag >> 3, at, at + size
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, seven bits per byte, and where it ends."""
    number = 0
    for place in range(10):
        byte = data[at + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError("a number has more than ten bytes")


def _foreign(name: str) -> str:
    return f"{name} is no intact gradient graph of fluxpath: write one with 'fluxpath export MODEL.onnx'"
