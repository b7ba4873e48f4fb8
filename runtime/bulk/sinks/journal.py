"""Keeps attributions as they come, so that a killed run loses no complete one.

Neither .npz nor Parquet can be read before its end is written, and .npy states its length at the start. So
a run appends to two files, the values as one .npy whose header is put right at the end and a log of rows, and
the format that was asked for is made from them when the source has ended.
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
    """Rows of values float32 [*head.shape] in `values` (a .npy file) and what is known of them in `log`."""

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
        """Start afresh, with the rows of a finished file where there are any."""
        # The log is what makes a journal exist, so it goes first and comes back last, whole.
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
        """The rows that are whole, log and values; what follows is cut off. InputError: another run's."""
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
        """Put the header right and close; `values` is then a .npy file. Returns its rows."""
        assert self._file is not None
        self._file.seek(0)
        self._file.write(header(self.head.shape, self._count))
        os.fsync(self._file.fileno())
        self.close()
        log = read_log(self.log)
        return [] if log is None else log.rows

    def close(self) -> None:
        """Close the files and leave them for a later run; may be called twice."""
        if self._file is not None and self._rows is not None:
            self._file.close()
            self._rows.close()
            self._file = self._rows = None

    def remove(self) -> None:
        """Delete the files: the finished ones hold everything."""
        self.log.unlink(missing_ok=True)
        self.values.unlink(missing_ok=True)


def groups(
    path: Path, shape: tuple[int, ...], count: int, step: int = 1
) -> Iterator[npt.NDArray[np.float32]]:
    """The `count` rows of a .npy file that a journal wrote, as float32 [<= step, *shape] one after another.

    Read and not mapped: pages of a mapping stay in memory for as long as nobody else needs it.
    """
    size = int(np.prod(shape, dtype=np.int64))
    with path.open("rb") as file:
        file.seek(len(header(shape, count)))
        for begin in range(0, count, step):
            rows = min(step, count - begin)
            yield np.frombuffer(file.read(4 * size * rows), "<f4").reshape(rows, *shape)


def header(shape: tuple[int, ...], count: int) -> bytes:
    """The header of a .npy file of float32 [count, *shape]; numpy pads it to one length for every count."""
    stream = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": (count, *shape)}
    np.lib.format.write_array_header_1_0(stream, about)
    return stream.getvalue()
