"""Stores attributions as they are computed, so that a killed run loses no finished one.

.npz and Parquet cannot be read before their end is written, and .npy states its length at the start. So a run
appends to two files: the values as one .npy, whose header is corrected at the end, and a log of rows. When
the source has ended, the requested format is made from them.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from fluxpath.errors import ClosedError, FluxpathError
from fluxpath.files import replacing
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.bulk.sinks.base import Head, Row
from fluxpath.runtime.bulk.sinks.rowlog import RowLog, line_of, read_log


class Journal:
    """Attributions, float32 [*head.shape] each, in the .npy file `values`, and their `Row`s in `log`."""

    def __init__(self, values: Path, log: Path, head: Head) -> None:
        self.values, self.log, self.head = values, log, head
        self._row_bytes = 4 * int(np.prod(head.shape, dtype=np.int64))
        self._count = 0
        self._file: BinaryIO | None = None
        self._rows: RowLog | None = None

    def exists(self) -> bool:
        """Whether a run left a journal here."""
        return self.values.exists() and self.log.exists()

    def begin(self, rows: Iterable[Row] = (), values: Iterable[npt.NDArray[np.float32]] = ()) -> None:
        """Start a new journal, with the rows and values of a finished file if there are any."""
        # A journal exists if its log does, so the log is deleted first and written last, atomically.
        self.log.unlink(missing_ok=True)
        lines = [line_of(self.head.entry())]
        with self.values.open("wb") as file:
            file.write(header(self.head.shape, 0))
            for row, array in zip(rows, values, strict=True):
                data = np.ascontiguousarray(array, "<f4").tobytes()
                file.write(data)
                lines.append(line_of(Row(**{**row.entry(), "crc": zlib.crc32(data)}).entry()))
        with replacing(self.log) as temporary:
            temporary.write_bytes(b"".join(lines))
        self._open(len(lines) - 1, self.log.stat().st_size)

    def recover(self) -> list[Row]:
        """The rows complete in log and values; cuts off the rest. InputError for another run's log."""
        log = read_log(self.log)
        if log is None:
            self.begin()
            return []
        self.head.check(log.head, self.log)
        whole = 0
        with self.values.open("rb") as file:
            file.seek(len(header(self.head.shape, 0)))
            for row in log.rows:
                data = file.read(self._row_bytes)
                if len(data) != self._row_bytes or zlib.crc32(data) != row.crc:
                    break
                whole += 1
        self._open(whole, log.ends[whole - 1] if whole else log.begin)
        return log.rows[:whole]

    def _open(self, count: int, log_bytes: int) -> None:
        self._count = count
        self._file = self.values.open("r+b", buffering=0)
        end = len(header(self.head.shape, 0)) + count * self._row_bytes
        self._file.truncate(end)
        self._file.seek(end)
        self._rows = RowLog(self.log, self.head, log_bytes)

    def append(self, name: str, result: Attribution) -> None:
        """Add the attribution of one image."""
        if self._file is None or self._rows is None:
            raise ClosedError("the sink is closed: open another")
        data = np.ascontiguousarray(result.values[0], "<f4").tobytes()
        written = self._file.write(data)
        if written != len(data):
            raise FluxpathError(f"'{self.values}': no space is left for the attribution of '{name}'")
        self._rows.append(Row.of(name, result, crc=zlib.crc32(data)))
        self._count += 1

    def seal(self) -> list[Row]:
        """Correct the header and close, so that `values` is a valid .npy file; return its rows."""
        assert self._file is not None
        self._file.seek(0)
        self._file.write(header(self.head.shape, self._count))
        os.fsync(self._file.fileno())
        self.close()
        log = read_log(self.log)
        return [] if log is None else log.rows

    def close(self) -> None:
        """Close the files and leave them for a later run; can be called twice."""
        if self._file is not None and self._rows is not None:
            self._file.close()
            self._rows.close()
            self._file = self._rows = None

    def remove(self) -> None:
        """Delete the journal's files once the finished file holds everything."""
        self.log.unlink(missing_ok=True)
        self.values.unlink(missing_ok=True)


def groups(
    path: Path, shape: tuple[int, ...], count: int, step: int = 1
) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the `count` rows of a journal's .npy file in order, as float32 [<= step, *shape].

    The file is read, not mapped: a mapping's pages stay in memory until something else needs it.
    """
    size = int(np.prod(shape, dtype=np.int64))
    with path.open("rb") as file:
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
