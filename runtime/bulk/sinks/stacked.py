"""A sink that ends as one file of all attributions: a journal while it runs, the format at the end."""

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
        """Make the file of a sealed journal with these rows, atomically."""

    def read(self, path: Path) -> tuple[Head, list[Row]]:
        """What the file holds except for the values; InputError where it is not one of ours, or damaged."""

    def values(self, path: Path) -> Iterator[npt.NDArray[np.float32]]:
        """The values, row by row."""


class StackedSink:
    """Writes beside `path` to "<name>.part" and "<name>.rows.part"; they become `path` with `close`.

    With `resume`, what the parts hold is kept, or else what the finished file holds, where an equal run wrote
    it; without, they are written anew, and an old file stays until the new one is whole.
    Raises InputError: no such folder, another run's results, a damaged or foreign file.
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
        if self._old is not None:  # a finished file gets more rows: back to a journal
            self._journal.begin(self._old, self._form.values(self._path))
            self._old = None
        self._journal.append(name, result)

    def close(self) -> None:
        """Make the file and delete the parts."""
        if self._old is None:
            self._form.write(self._journal, self._journal.seal(), self._path)
            self._journal.remove()

    def abandon(self) -> None:
        """Leave the parts for a later run."""
        self._journal.close()
