"""The seal that makes a truncated or altered ONNX file detectable before any parser sees it.

The seal is the SHA-256 of everything else in the file and is stored in the manifest, as is the SHA-256 of a
second file of weights. It is no signature: whoever makes a file can seal it (docs/security.md). The manifest
is read from the file's bytes, which needs only the standard library. For TorchScript files see `archive.py`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from fluxpath.errors import ArtifactError
from fluxpath.manifest import KEY, UNSEALED, Manifest
from fluxpath.wire import COUNTED, MOST_FIELDS, fields

_DIGEST = re.compile(rb'"digest": "([0-9a-f]{64})"')

_METADATA = 14
"""The number of the field `metadata_props` in ONNX's ModelProto: entries of a key (1) and a value (2)."""


@dataclass(frozen=True)
class Sealed:
    """The manifest of an intact file, and the SHA-256 of all its bytes, in hexadecimal."""

    manifest: Manifest
    sha256: str


def seal(data: bytes) -> bytes:
    """The serialized ONNX model with the SHA-256 of everything else in it written into its manifest."""
    start, end = _digest_span(data, "the file")
    digest = _digest(data, start, end, hashlib.sha256(memoryview(data)[:start]))
    return b"".join((memoryview(data)[:start], digest, memoryview(data)[end:]))


def unseal(data: bytes, name: str = "the file", whole_method: bool | None = False) -> Sealed:
    """The manifest in `data`; ArtifactError, which calls the file `name`, unless `seal` returned `data`.

    Every bit is checked, before any parser sees the file: a truncated or altered file can neither crash the
    process nor give a wrong attribution. whole_method: see `Manifest.from_json`.
    """
    start, end = _digest_span(data, name)
    whole = hashlib.sha256(memoryview(data)[:start])
    digest = _digest(data, start, end, whole)
    if digest != data[start:end]:
        raise ArtifactError(f"{name} is truncated or was altered after export: export the model again")
    whole.update(memoryview(data)[start:])
    text = data[slice(*_manifest_span(data, name))].decode("utf-8", "replace")
    return Sealed(Manifest.from_json(text, whole_method), whole.hexdigest())


def _digest(data: bytes, start: int, end: int, begun: hashlib._Hash) -> bytes:
    """The seal in hexadecimal; `begun` has hashed what is before the place for it, and stays as it is."""
    # Copies and views, since a file can have hundreds of megabytes, most of them before its manifest.
    digest = begun.copy()
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
        for number, kind, start, end in fields(data, 0, len(data), MOST_FIELDS):
            if (number, kind) == (_METADATA, COUNTED):
                entry = {part: (a, b) for part, _, a, b in fields(data, start, end, MOST_FIELDS)}
                if data[slice(*entry.get(1, (0, 0)))] == KEY.encode():
                    found.append(entry.get(2, (0, 0)))
    except (IndexError, ValueError) as error:
        raise ArtifactError(_foreign(name)) from error
    if not found:
        raise ArtifactError(_foreign(name))
    if len(found) > 1:
        raise ArtifactError(f"{name} holds more than one seal: export the model again")
    return found[0]


def _foreign(name: str) -> str:
    return (
        f"{name} is no intact gradient graph of fluxpath: write one with 'fluxpath export MODEL.onnx "
        "-o NAME.grad.onnx'"
    )
