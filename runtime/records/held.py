"""A file that one run holds at a time, so that two runs never write one output."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from fluxpath.errors import FluxpathError, InputError
from fluxpath.files import unlinked

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

# Windows locks bytes and lets nobody else read them, so the byte is one that no log reaches.
_FAR = 1 << 40


class InUseError(InputError):
    """Another run writes to the output."""


class Held:
    """The file at `path`, made if there is none, and locked until `release` or the end of the process.

    The system drops the lock with the process, however that ends: a file that a killed run left bars nobody.
    created: whether the file was made here. Raises InputError, which names `output`, while another run of
    any process or thread holds it; OSError if it is no regular file.
    """

    def __init__(self, path: Path, output: Path) -> None:
        self.path, self._output = path, output
        while True:
            self.created, descriptor = _opened(path)
            self._file = open(descriptor, "r+b", buffering=0)  # noqa: SIM115
            if not _lock(descriptor, output):
                self._file.close()
                raise InUseError(
                    f"another run is writing to '{output}': wait until it has ended, or write elsewhere"
                )
            if self.is_ours():
                return
            self._file.close()  # its last holder deleted it between the opening and the lock

    def check(self) -> None:
        """Raise FluxpathError if the file was deleted or replaced: what is written then would be lost."""
        if not self.is_ours():
            raise FluxpathError(
                f"'{self._output}' is not complete: somebody deleted or replaced '{self.path}' while it was "
                "written"
            )

    def release(self, remove: bool = False) -> None:
        """Unlock the file, and delete it with `remove`; can be called twice."""
        if self._file.closed:
            return
        if remove and sys.platform != "win32" and self.is_ours():
            self.path.unlink()
        if sys.platform != "win32":
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)  # a forked child still holds a copy of the descriptor
        self._file.close()
        if remove and sys.platform == "win32":
            with suppress(OSError):  # open in another run, which then deletes it
                self.path.unlink()

    def is_ours(self) -> bool:
        """Whether the file is held, and still the one of its name."""
        if self._file.closed:
            return False
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self._file.fileno()))


def _opened(path: Path) -> tuple[bool, int]:
    """Whether the file was made, and its descriptor."""
    flags = os.O_RDWR | getattr(os, "O_BINARY", 0)
    while True:
        try:
            return True, os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            pass
        with suppress(FileNotFoundError):  # deleted in between
            return False, unlinked(path, flags)


def _lock(descriptor: int, output: Path) -> bool:
    """Whether the file could be locked; a warning where its file system has no locks."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            return False
        warnings.warn(
            f"'{output}' cannot be locked here ({error.strerror}): let no other run write to it", stacklevel=2
        )
    return True
