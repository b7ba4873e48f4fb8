"""One stacked array in a .npy file, with its rows in a .jsonl file of the same name beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.files import replacing
from fluxpath.runtime.bulk.sinks.base import Head, Row
from fluxpath.runtime.bulk.sinks.journal import Journal, groups
from fluxpath.runtime.bulk.sinks.rowlog import read_log


class Npy:
    """float32 [n, *shape]; the .jsonl file has the run in its first line, then one line per image."""

    def write(self, journal: Journal, rows: list[Row], path: Path) -> None:
        """Turn the journal's own files into the finished ones: copy the log, rename the values."""
        with replacing(path.with_suffix(".jsonl")) as temporary:
            shutil.copyfile(journal.log, temporary)
        os.replace(journal.values, path)

    def read(self, path: Path) -> tuple[Head, list[Row]]:
        """The head and rows in the .jsonl file; InputError if it is missing or has another length."""
        sidecar = path.with_suffix(".jsonl")
        log = read_log(sidecar) if sidecar.exists() else None
        if log is None or len(log.rows) != len(_opened(path)):
            raise InputError(f"'{path}' has no '{sidecar.name}' of its rows: start over, or write elsewhere")
        return log.head, log.rows

    def values(self, path: Path) -> Iterator[npt.NDArray[np.float32]]:
        """Yield each image's values [*shape], reading one at a time."""
        head, rows = self.read(path)
        for group in groups(path, head.shape, len(rows)):
            yield group[0]


def _opened(path: Path) -> npt.NDArray[np.float32]:
    try:
        return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"'{path}' is no intact .npy file: start over, or write elsewhere") from error
