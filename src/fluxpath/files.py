"""Writes files atomically: they are complete or not there at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fluxpath.errors import ModelError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name in the folder of `path`, which becomes `path` unless the block raises.

    A reader of `path` sees the old file or the complete new one, and no temporary file ever remains.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_model(path: Path) -> Iterator[Path]:
    """`replacing` for the files of an export: an error of the disk becomes a ModelError."""
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        refused = error.filename is not None and error.filename2 is None  # the new file could not be opened
        where = f"to the folder '{path.parent}'" if refused else f"'{path}'"
        raise ModelError(f"cannot write {where}: {error.strerror}") from error


def spare_source(model: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Raise ModelError if writing to `path` would replace the model itself."""
    if Path(model).exists() and Path(path).exists() and os.path.samefile(model, path):
        raise ModelError(f"'{path}' is the model itself, which would be lost: write to another file")
