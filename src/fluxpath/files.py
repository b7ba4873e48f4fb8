"""Writes files atomically, complete or not at all, and opens regular files only."""

from __future__ import annotations

import errno
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path

from fluxpath.errors import FluxpathError, InputError, ModelError

# The suffix, after the model's own, of a second file with the weights.
WEIGHTS = ".data"
# What every export's manifest has.
_DIGEST = re.compile(rb'"digest": "[0-9a-f]{64}"')


def as_path(given: object, what: str) -> Path:
    """What a caller gives as a path, not empty; InputError, which says `what` it is, for anything else."""
    if not isinstance(given, str | os.PathLike) or not isinstance(os.fspath(given), str):
        raise InputError(f"{what} is {given!r}, it must be a path")
    if not os.fspath(given):
        raise InputError(f"{what} is empty: name one ('.' is the current folder)")
    return Path(given)


def regular(path: str | os.PathLike[str], flags: int) -> int:
    """An `opener` for `open` that takes regular files, or links to one, only.

    A FIFO, a device or a socket would let the caller wait for ever: OSError, and it is not opened.
    """
    # Looked at before, because opening a device can have effects; and after, because it may be another file.
    if os.path.lexists(path):
        _need_regular(path, os.stat(path))
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    try:
        _need_regular(path, os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def unlinked(path: str | os.PathLike[str], flags: int) -> int:
    """`regular`, but a symbolic link is refused too: for files that are replaced or changed in place."""
    if os.path.islink(path):
        raise OSError(errno.ELOOP, "it is a symbolic link, which is not followed", os.fspath(path))
    return regular(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _need_regular(path: str | os.PathLike[str], found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        os.scandir(path).close()  # a folder that cannot be read says so
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))


def temporary_name(token: str | None = None) -> str:
    """The name of a temporary file: nobody can guess it, unless they know the token that it is made from."""
    return f".{token or uuid.uuid4().hex}.tmp"


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """An OSError of the block that names no file, as of a full disk, names `path`."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = os.fspath(path)
        elif error.errno is None:  # numpy's
            raise FluxpathError(f"cannot read or write '{os.fspath(path)}': {error}") from error
        raise


@contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """A temporary name in the folder of `path`, which becomes `path` unless the block raises.

    A reader of `path` sees the old file or the complete new one, and a temporary file remains only if the
    process is killed. temporary: a name for it on the same file system, by which a later run can find it.
    """
    temporary = path.with_name(temporary_name()) if temporary is None else temporary
    try:
        with naming(path):
            yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_model(path: Path) -> Iterator[Path]:
    """`replacing` for an export's files, see `need_target`: an error of the disk becomes a ModelError."""
    need_target(path)
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        # What names another file is that the new one could not be opened.
        refused = error.filename not in (None, os.fspath(path)) and error.filename2 is None
        where = f"to the folder '{path.parent}'" if refused else f"'{path}'"
        raise ModelError(f"cannot write {where}: {error.strerror}") from error


def need_target(path: Path) -> None:
    """Raise ModelError unless an export may write to `path`: a file .onnx or .pt, or its weights' .data.

    Only what an export wrote, or an empty file, is replaced.
    """
    if path.exists() and not path.is_file():
        raise ModelError(f"cannot write '{path}': it is there already and is no regular file")
    model = path.with_suffix("") if path.suffix == WEIGHTS else path
    if model.suffix not in (".onnx", ".pt"):
        raise ModelError(
            f"cannot write '{path}': an export's file ends in .onnx, or of a torch module in .pt"
        )
    if path.exists() and path.stat().st_size and not _is_export(model):
        raise ModelError(
            f"'{path}' would be replaced, and fluxpath did not write it: write elsewhere, or move it away"
        )


def _is_export(path: Path) -> bool:
    """Whether a file, intact or not, has the manifest of an export."""
    try:
        with open(path, "rb", opener=regular) as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            return data.find(b"fluxpath") >= 0 and _DIGEST.search(data) is not None
    except (OSError, ValueError):  # it is not there, or empty
        return False


def spare_source(model: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Raise ModelError if writing to `path` would replace the model itself, and as `need_target` does."""
    if Path(model).exists() and Path(path).exists() and os.path.samefile(model, path):
        raise ModelError(f"'{path}' is the model itself, which would be lost: write to another file")
    need_target(Path(path))
