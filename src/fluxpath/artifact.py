"""Reads files that an export wrote, without the libraries that run them."""

from __future__ import annotations

import os
from pathlib import Path

from fluxpath import archive
from fluxpath.errors import ArtifactError
from fluxpath.manifest import Manifest
from fluxpath.seal import Sealed, check_weights, unseal


def read_file(path: Path) -> bytes:
    """The bytes of a file; ArtifactError if it cannot be read."""
    if not path.is_file():
        raise ArtifactError(f"there is no gradient graph '{path}'")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read '{path}': {error.strerror}") from error


def read_sealed(path: Path, whole_method: bool | None = False) -> tuple[bytes, Sealed]:
    """An ONNX file's bytes, manifest and digest; ArtifactError unless it and its weights are intact."""
    data = read_file(path)
    sealed = unseal(data, f"'{path}'", whole_method)
    weights = sealed.manifest.weights
    if weights is not None:
        check_weights(path.with_name(weights.file), weights)
    return data, sealed


def read_manifest(path: str | os.PathLike[str], whole_method: bool | None = False) -> Manifest:
    """The manifest of the gradient graph in the file `path`; ArtifactError if the file is not intact.

    whole_method: True for the file of a whole method (`fluxpath export --method`), None for either kind.
    """
    if Path(path).suffix == archive.SUFFIX:
        return archive.unseal(read_file(Path(path)))[1]
    return read_sealed(Path(path), whole_method)[1].manifest
