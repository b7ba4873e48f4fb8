"""Files that are there whole or not at all."""

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

    A reader of `path` sees the old file or the whole new one; whatever goes wrong, no temporary file stays.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_model(path: Path) -> Iterator[Path]:
    """`replacing` for what an export writes: ModelError where the disk refuses."""
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        refused = error.filename is not None and error.filename2 is None  # the new file could not be opened
        where = f"to the folder '{path.parent}'" if refused else f"'{path}'"
        raise ModelError(f"cannot write {where}: {error.strerror}") from error


def spare_source(model: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """ModelError where what is written to `path` would replace the model that it is made of."""
    if Path(model).exists() and Path(path).exists() and os.path.samefile(model, path):
        raise ModelError(f"'{path}' is the model itself, which would be lost: write to another file")
