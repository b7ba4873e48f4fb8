"""One stacked array in a .npy file, with its rows in a .jsonl file of the same name beside it."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.files import replacing, unlinked
from fluxpath.runtime.bulk.sinks.journal import Journal, groups, header
from fluxpath.runtime.records.rowlog import Log, read_log
from fluxpath.runtime.records.rows import Head, Row, foreign, plain


class Npy:
    """float32 [n, *shape]; the .jsonl file has the run in its first line, then one line per image."""

    bare = False

    def write(self, journal: Journal, rows: list[Row], path: Path) -> None:
        """Turn the journal's own files into the finished ones: copy the log, rename the values."""
        with replacing(path.with_suffix(".jsonl"), journal.temporary) as temporary:
            shutil.copyfile(journal.log, temporary)
        os.replace(journal.values, path)

    def files(self, path: Path) -> list[Path]:
        """The array and the rows beside it."""
        return [path, path.with_suffix(".jsonl")]

    def head(self, path: Path) -> Head:
        """The head of the .jsonl file; InputError without one, or if it is of another .npy file."""
        log = _rows_of(path)
        if not os.path.lexists(path):
            return log.head
        # A run that was killed between its two files left more rows, whose values are in its journal.
        torn = path.with_name(f"{path.name}.part").exists()
        found = _shape_of(path)
        if found is None or found[1:] != log.head.shape or (found[0] != len(log.rows) and not torn):
            raise foreign(path)
        return log.head

    def read(self, path: Path) -> tuple[Head, list[Row]]:
        """The head and rows in the .jsonl file; InputError if it is missing or has another length."""
        log, found = _rows_of(path), _shape_of(path)
        if found is None:
            raise InputError(
                f"'{path}' is no intact .npy file: move it away and start over, or write elsewhere"
            )
        if found != (len(log.rows), *log.head.shape):
            raise _without_rows(path)
        return log.head, log.rows

    def values(self, path: Path) -> Iterator[npt.NDArray[np.float32]]:
        """Yield each image's values [*shape], reading one at a time."""
        head, rows = self.read(path)
        size = len(header(head.shape, len(rows))) + 4 * len(rows) * int(np.prod(head.shape, dtype=np.int64))
        if path.stat().st_size != size:
            raise foreign(path)
        for row, group in zip(rows, groups(path, head.shape, len(rows)), strict=True):
            if zlib.crc32(group.tobytes()) != row.crc:
                raise InputError(
                    f"'{path}' is damaged in the attribution of '{row.name}': start over, or write elsewhere"
                )
            yield group[0]


def _rows_of(path: Path) -> Log[Row]:
    sidecar = path.with_suffix(".jsonl")
    use = f", and '{path}' keeps its rows there"
    with plain(sidecar):
        try:
            log = read_log(sidecar) if os.path.lexists(sidecar) else None
        except InputError as error:
            raise foreign(sidecar, use) from error
    if log is None:
        raise _without_rows(path)
    if log.head.form != path.suffix:
        raise foreign(sidecar, use)
    return log


def _without_rows(path: Path) -> InputError:
    return InputError(
        f"'{path}' has no '{path.with_suffix('.jsonl').name}' of its rows: move it away and start over, or "
        "write elsewhere"
    )


def _shape_of(path: Path) -> tuple[int, ...] | None:
    """The shape in the header of a .npy file of float32 as `header` writes it; None for any other."""
    with plain(path), open(path, "rb", opener=unlinked) as file:
        try:
            if np.lib.format.read_magic(file) != (1, 0):
                return None
            shape, fortran, kind = np.lib.format.read_array_header_1_0(file)
        except Exception:  # numpy raises anything on a damaged header
            return None
    return None if fortran or kind != np.dtype("<f4") else shape
