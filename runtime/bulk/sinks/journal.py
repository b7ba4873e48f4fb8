"""Stores attributions as they are computed, so that a killed run loses no finished one.

.npz and Parquet cannot be read before their end is written, and .npy states its length at the start. So a run
appends to two files: the values as one .npy, whose header is corrected at the end, and a log of rows. When
the source has ended, the requested format is made from them.
"""

from __future__ import annotations

import io
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from fluxpath.errors import ClosedError, FluxpathError
from fluxpath.files import naming, unlinked
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.attribution.words import row_of
from fluxpath.runtime.records.rowlog import Log, RowLog, hold_log, read_log
from fluxpath.runtime.records.rows import Head, Row, foreign

# Rows that are logged in one write.
_AT_ONCE = 1000


class Journal:
    """Attributions, float32 [*head.shape] each, in the .npy file `values`, and their `Row`s in `log`.

    Holds the log from the start, so that no other run writes `output`. Raises InputError while another does,
    and for files of these names that are no journal of this form. bare: only the rows are kept, and `values`
    has no more than its header.
    """

    def __init__(self, values: Path, log: Path, head: Head, output: Path, bare: bool = False) -> None:
        self.values, self.log, self.head = values, log, head
        self._bare = bare
        self._row_bytes = 0 if bare else 4 * int(np.prod(head.shape, dtype=np.int64))
        self._count = 0
        self._file: BinaryIO | None = None
        self._rows: RowLog | None = None
        self._old: Log[Row] | None = None
        self._held = hold_log(log, head.form, output)
        # The log is made first, so values beside none are not a journal's.
        if os.path.lexists(values) and (self._held.created or not _is_npy(values)):
            self._held.release(remove=self._held.created)
            raise foreign(values)

    @property
    def temporary(self) -> Path:
        """The run's temporary file, in the folder of the journal."""
        assert self._rows is not None
        return self._rows.temporary

    def check(self) -> None:
        """Raise FluxpathError if somebody deleted or replaced the journal's files."""
        self._held.check()
        if self._file is not None:
            try:
                same = os.path.samestat(self.values.lstat(), os.fstat(self._file.fileno()))
            except OSError:
                same = False
            if not same:
                raise FluxpathError(
                    f"somebody deleted or replaced '{self.values}' while the run was writing to it"
                )

    def recover(self) -> list[Row]:
        """The rows that are complete in log and values; InputError for another run's log."""
        log = self._old = read_log(self.log)
        if log is None:
            return []
        self.head.check(log.head, self.log)
        if not self.values.exists():
            return []
        whole = 0
        with open(self.values, "rb", opener=unlinked) as file:
            file.seek(len(header(self.head.shape, 0)))
            for row in log.rows:
                data = file.read(self._row_bytes)
                if len(data) != self._row_bytes or zlib.crc32(data) != row.crc:
                    break
                whole += 1
        return log.rows[:whole]

    def go_on(self, count: int) -> None:
        """Append after the first `count` rows, which `recover` found; cut off the rest."""
        assert self._old is not None
        log = self._old
        self._rows = RowLog(self.log, self.head, log.ends[count - 1] if count else log.begin)
        self._file = open(self.values, "r+b", buffering=0, opener=unlinked)  # noqa: SIM115
        self._count = count
        end = len(header(self.head.shape, 0)) + count * self._row_bytes
        self._file.truncate(end)
        self._file.seek(end)

    def begin(self, rows: Iterable[Row] = (), values: Iterable[npt.NDArray[np.float32]] = ()) -> None:
        """Start a new journal, with the rows and values of a finished file if there are any."""
        self.values.unlink(missing_ok=True)
        self._rows = RowLog(self.log, self.head)
        self._file = open(self.values, "xb", buffering=0, opener=unlinked)  # noqa: SIM115
        self._file.write(header(self.head.shape, 0))
        kept: list[Row] = []
        for row, array in zip(rows, values, strict=True):
            data = np.ascontiguousarray(array, "<f4").tobytes()
            self._put(data, row.name)
            kept.append(replace(row, crc=zlib.crc32(data)))
        # After all the values, so that a broken copy has fewer rows than the finished file: that then counts.
        for i in range(0, len(kept), _AT_ONCE):
            self._rows.append(*kept[i : i + _AT_ONCE])
        self._count = len(kept)

    def append(self, name: str, result: Attribution) -> None:
        """Add the attribution of one image."""
        if self._file is None or self._rows is None:
            raise ClosedError("the sink is closed: open another")
        self.check()
        data = b"" if self._bare else np.ascontiguousarray(result.values[0], "<f4").tobytes()
        self._put(data, name)
        self._rows.append(row_of(name, result, crc=zlib.crc32(data)))
        self._count += 1

    def _put(self, data: bytes, name: str) -> None:
        assert self._file is not None
        with naming(self.values):
            written = self._file.write(data)
        if written != len(data):
            raise FluxpathError(f"'{self.values}': no space is left for the attribution of '{name}'")

    def seal(self) -> list[Row]:
        """Correct the header, so that `values` is a valid .npy file, and close it; return its rows."""
        assert self._file is not None
        self.check()
        self._file.seek(0)
        self._file.write(header(self.head.shape, self._count))
        os.fsync(self._file.fileno())
        self._close_files()
        log = read_log(self.log)
        if log is None or len(log.rows) != self._count:
            raise FluxpathError(f"'{self.log}' does not hold what was written to it: the disk fails")
        return log.rows

    def close(self, remove: bool = False) -> None:
        """Close the files; leave them for a later run, unless `remove`; can be called twice."""
        self._close_files()
        if remove and self._held.is_ours():
            self.values.unlink(missing_ok=True)  # before the log, without which it would be nobody's
        self._held.release(remove)

    def _close_files(self) -> None:
        if self._file is not None and self._rows is not None:
            self._file.close()
            self._rows.close()
            self._file = None

    @property
    def is_new(self) -> bool:
        """Whether there was no journal before this one."""
        return self._held.created

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost without the journal."""
        return self._count == 0


def _is_npy(path: Path) -> bool:
    if not stat.S_ISREG(path.lstat().st_mode):
        return False
    with open(path, "rb", opener=unlinked) as file:
        return np.lib.format.MAGIC_PREFIX.startswith(file.read(len(np.lib.format.MAGIC_PREFIX)))


def groups(
    path: Path, shape: tuple[int, ...], count: int, step: int = 1
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the `count` rows of a journal's .npy file in order, as float32 [<= step, *shape].

    The file is read, not mapped: a mapping's pages stay in memory until something else needs it.
    """
    size = int(np.prod(shape, dtype=np.int64))
    with open(path, "rb", opener=unlinked) as file:
        file.seek(len(header(shape, count)))
        for begin in range(0, count, step):
            rows = min(step, count - begin)
            yield np.frombuffer(file.read(4 * size * rows), "<f4").reshape(rows, *shape)


def header(shape: tuple[int, ...], count: int) -> bytes:
    """The header of a .npy file of float32 [count, *shape]; numpy pads it to one length for all counts."""
    stream = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": (count, *shape)}
    np.lib.format.write_array_header_1_0(stream, about)
    return stream.getvalue()
