"""A sink for one file of all attributions: writes a journal during the run and the file at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.bulk.sinks.base import Head, Row
from fluxpath.runtime.bulk.sinks.journal import Journal


class Format(Protocol):
    """A file of n attributions of one shape, written and read row by row."""

    def write(self, journal: Journal, rows: list[Row], path: Path) -> None:
        """Write the file atomically from a sealed journal with these rows."""

    def read(self, path: Path) -> tuple[Head, list[Row]]:
        """The head and the rows, without the values; InputError if the file is damaged or foreign."""

    def values(self, path: Path) -> Iterator[npt.NDArray[np.float32]]:
        """Yield each image's values [*shape] in order."""


class StackedSink:
    """Writes "<name>.part" and "<name>.rows.part" beside `path`; `close` turns them into `path`.

    With `resume`, keeps the results of an equal run, from the parts or else from the finished file; without,
    starts again, and an old file stays until the new one is complete.
    Raises InputError for a missing folder, another run's results, and a damaged or foreign file.
    """

    def __init__(self, path: Path, form: Format, head: Head, resume: bool) -> None:
        if not path.parent.is_dir():
            raise InputError(f"'{path}': there is no folder '{path.parent}' to write to")
        self._path, self._form = path, form
        parts = (path.with_name(path.name + ".part"), path.with_name(path.name + ".rows.part"))
        self._journal = Journal(*parts, head)
        self._old: list[Row] | None = None
        rows: list[Row] = []
        if resume and self._journal.exists():
            rows = self._journal.recover()
        elif resume and path.exists():
            found, rows = form.read(path)
            head.check(found, path)
            self._old = rows
        else:
            self._journal.begin()
        self._done = {row.name for row in rows}

    def done(self, name: str) -> bool:
        """Whether an earlier run wrote this image."""
        return name in self._done

    def write(self, name: str, image: npt.NDArray[np.float32], result: Attribution) -> None:
        """Append the attribution; the image itself is not kept."""
        if self._old is not None:  # to add rows to a finished file, turn it back into a journal
            self._journal.begin(self._old, self._form.values(self._path))
            self._old = None
        self._journal.append(name, result)

    def close(self) -> None:
        """Write the file and delete the parts; do nothing if no image was added to a finished file."""
        if self._old is None:
            self._form.write(self._journal, self._journal.seal(), self._path)
            self._journal.remove()

    def abandon(self) -> None:
        """Leave the parts for a later run."""
        self._journal.close()
