"""The seal that makes a truncated or altered gradient graph detectable before any parser sees it.

It is the SHA-256 of everything else in the file and stands in the manifest, as does that of a second file of
weights. What must be known of a file before it is opened is read here, from its bytes. `fluxpath.export` and
`fluxpath.runtime` both use this; it needs the standard library only. TorchScript files: see `archive.py`.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from fluxpath.errors import ArtifactError
from fluxpath.manifest import UNSEALED, Weights

_WEIGHTS = re.compile(rb'"weights": \{"file": "([^"/\\]+)", "sha256": "([0-9a-f]{64})"\}')
_DIGEST = re.compile(rb'"digest": "([0-9a-f]{64})"')
_PRECISION = re.compile(rb'"precision": "(\w+)", "gradient": "')


def seal(data: bytes) -> bytes:
    """Write into the manifest of a serialized gradient graph the SHA-256 of everything else in it."""
    start, end = _digest_span(data)
    # Views, for a file has hundreds of megabytes: of its weights only the result is a copy.
    before, after = memoryview(data)[:start], memoryview(data)[end:]
    digest = hashlib.sha256(before)
    digest.update(UNSEALED.encode())
    digest.update(after)
    return b"".join((before, digest.hexdigest().encode(), after))


def check_seal(data: bytes, name: str = "the file") -> None:
    """ArtifactError, of the file called `name`, unless `data` is, bit for bit, what `seal` returned.

    Runs before any parser sees the file, so a truncated or altered one can neither crash the process nor
    give a wrong attribution.
    """
    start, end = _digest_span(data, name)
    digest = hashlib.sha256(data[:start])
    digest.update(UNSEALED.encode())
    digest.update(memoryview(data)[end:])
    if digest.hexdigest().encode() != data[start:end]:
        raise ArtifactError(f"{name} is truncated or was altered after export: export the model again")


def digest_of(data: bytes) -> str:
    """The SHA-256 that a sealed gradient graph bears: no two files have the same."""
    start, end = _digest_span(data)
    return data[start:end].decode()


def weights_of(data: bytes) -> Weights | None:
    """The second file that a sealed gradient graph refers to; None where it has everything in itself."""
    found = _WEIGHTS.search(data)
    return None if found is None else Weights(found[1].decode(), found[2].decode())


def precision_of(data: bytes) -> str:
    """What a sealed gradient graph computes in, for whoever must know before it is opened."""
    found = _PRECISION.search(data)
    return "float32" if found is None else found[1].decode()


def check_weights(path: Path, weights: Weights) -> None:
    """ArtifactError unless the second file is, bit for bit, the one that was written."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(1 << 24):
                digest.update(part)
    except OSError as error:
        raise ArtifactError(
            f"the weights in '{path}' cannot be read ({error.strerror}): keep the two files together"
        ) from error
    if digest.hexdigest() != weights.sha256:
        raise ArtifactError(f"the weights in '{path}' are truncated or altered: export the model again")


def _digest_span(data: bytes, name: str = "the file") -> tuple[int, int]:
    found = list(_DIGEST.finditer(data))
    if not found:
        raise ArtifactError(
            f"{name} is no intact gradient graph of fluxpath: write one with 'fluxpath export MODEL.onnx'"
        )
    if len(found) > 1:
        raise ArtifactError(f"{name} holds more than one seal: export the model again")
    return found[0].span(1)
