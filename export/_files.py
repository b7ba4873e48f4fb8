"""Puts files in place whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from fluxpath.errors import ModelError


def spare_source(model: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """ModelError where what is written to `path` would replace the model that it is made of."""
    if Path(model).exists() and Path(path).exists() and os.path.samefile(model, path):
        raise ModelError(f"'{path}' is the model itself, which would be lost: write to another file")


def put(data: bytes, path: Path) -> None:
    """Write `data` to `path` in one step: a reader sees the whole of it or none."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ModelError(f"cannot write to the folder '{path.parent}': {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException as error:
        os.unlink(name)
        if isinstance(error, OSError):
            raise ModelError(f"cannot write '{path}': {error.strerror}") from error
        raise
