"""The seal that makes a truncated or altered ONNX file detectable before any parser sees it.

It is the SHA-256 of everything else in the file and stands in the manifest, as does that of a second file of
weights. The manifest is read from the file's bytes: that needs the standard library only, for
`fluxpath.export` and `fluxpath.runtime` alike. TorchScript files: see `archive.py`.
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
"""How protobuf encodes a field: its wire types."""


@dataclass(frozen=True)
class Sealed:
    """What an intact file says of itself, and the SHA-256 that it bears: no two files have the same."""

    manifest: Manifest
    digest: str


def seal(data: bytes) -> bytes:
    """Write into the manifest of a serialized ONNX model the SHA-256 of everything else in it."""
    start, end = _digest_span(data, "the file")
    return b"".join((memoryview(data)[:start], _digest(data, start, end), memoryview(data)[end:]))


def unseal(data: bytes, name: str = "the file", whole_method: bool | None = False) -> Sealed:
    """What the manifest in `data` says; ArtifactError, of the file called `name`, unless `seal` gave `data`.

    Bit for bit, and before any parser sees the file: a truncated or altered one can neither crash the process
    nor give a wrong attribution. whole_method: see `Manifest.from_json`.
    """
    start, end = _digest_span(data, name)
    digest = _digest(data, start, end)
    if digest != data[start:end]:
        raise ArtifactError(f"{name} is truncated or was altered after export: export the model again")
    text = data[slice(*_manifest_span(data, name))].decode("utf-8", "replace")
    return Sealed(Manifest.from_json(text, whole_method), digest.decode())


def check_weights(path: Path, weights: Weights) -> None:
    """ArtifactError unless the second file is, bit for bit, the one that was written."""
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
    # Views, for a file has hundreds of megabytes.
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
    """Where the manifest's text lies in a serialized ONNX model; ArtifactError unless there is just one."""
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
    """Number, start and end of each field of a protobuf message; IndexError or ValueError if it is none."""
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
            raise ValueError("no protobuf message")
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
