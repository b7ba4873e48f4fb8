"""Reads files that an export wrote, without the libraries that run them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from fluxpath import archive
from fluxpath.errors import ArtifactError
from fluxpath.graph_file import External, external_tensors
from fluxpath.manifest import Manifest, Weights
from fluxpath.seal import unseal

_LARGEST_ONNX = 2**31
"""Bytes of an ONNX file: protobuf's messages end there, so more need not be read."""


@dataclass(frozen=True)
class GradientFile:
    """An intact ONNX file, all of it in memory, so that what runs is what was checked.

    sha256: of `data`, in hexadecimal; it identifies the file, and with it `weights`, the bytes of the second
    one. external: the tensors that are in these; both are empty if there is none.
    """

    data: bytes
    manifest: Manifest
    sha256: str
    external: tuple[External, ...]
    weights: bytes


def read_file(path: Path, most: int | None = None) -> bytes:
    """The bytes of a file; ArtifactError if it cannot be read, or has more than `most` bytes."""
    if not path.is_file():
        raise ArtifactError(f"there is no gradient graph '{path}'")
    try:
        size = path.stat().st_size
        if most is not None and size > most:
            raise ArtifactError(f"'{path}' has {size} bytes, and no gradient graph has more than {most}")
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read '{path}': {error.strerror}") from error
    except MemoryError as error:
        raise ArtifactError(f"'{path}' has {size} bytes, more than there is memory for") from error


def read_sealed(path: Path, whole_method: bool | None = False) -> GradientFile:
    """An ONNX file with its weights; ArtifactError unless both are intact and hold what an export writes."""
    data = read_file(path, _LARGEST_ONNX)
    sealed = unseal(data, f"'{path}'", whole_method)
    weights = sealed.manifest.weights
    content = b"" if weights is None else _read_weights(path.with_name(weights.file), weights)
    external = external_tensors(data, None if weights is None else weights.file, len(content))
    return GradientFile(data, sealed.manifest, sealed.sha256, external, content)


def _read_weights(path: Path, weights: Weights) -> bytes:
    """The second file's bytes; ArtifactError unless it is, bit for bit, the one that was written."""
    if not path.is_file():
        raise ArtifactError(f"the weights in '{path}' are missing: keep the two files together")
    content = read_file(path)
    if hashlib.sha256(content).hexdigest() != weights.sha256:
        raise ArtifactError(f"the weights in '{path}' are truncated or altered: export the model again")
    return content


def read_manifest(path: str | os.PathLike[str], whole_method: bool | None = False) -> Manifest:
    """The manifest of the gradient graph in the file `path`; ArtifactError if the file is not intact.

    whole_method: True for the file of a whole method (`fluxpath export --method`), None for either kind.
    """
    return read_identified(path, whole_method)[0]


def read_identified(path: str | os.PathLike[str], whole_method: bool | None = False) -> tuple[Manifest, str]:
    """As `read_manifest`, and the SHA-256, in hexadecimal, of the very bytes that hold the manifest."""
    if Path(path).suffix == archive.SUFFIX:
        data = read_file(Path(path))
        return archive.unseal(data)[1], hashlib.sha256(data).hexdigest()
    file = read_sealed(Path(path), whole_method)
    return file.manifest, file.sha256
