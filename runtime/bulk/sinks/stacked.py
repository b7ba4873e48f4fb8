"""A sink for one file of all results: writes a journal during the run and the file at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.bulk.sinks.journal import Journal
from fluxpath.runtime.records.rows import Head, Row


class Format(Protocol):
    """A file of n attributions of one shape, written and read row by row.

    bare: whether it holds the rows only, without values.
    """

    bare: bool

    def write(self, journal: Journal, rows: list[Row], path: Path) -> None:
        """Write the file atomically from a sealed journal with these rows."""

    def files(self, path: Path) -> list[Path]:
        """Every file that `write` makes or replaces."""

    def head(self, path: Path) -> Head:
        """How what is there was made, damaged or not; InputError if fluxpath did not write all of `files`."""

    def read(self, path: Path) -> tuple[Head, list[Row]]:
        """The head and the rows, without the values; InputError if the file is damaged or foreign."""

    def values(self, path: Path) -> Iterator[npt.NDArray[np.float32]]:
        """Yield each image's values [*shape] in order; InputError, by the end, if they are damaged."""


class StackedSink:
    """Writes "<name>.part" and "<name>.rows.part" beside `path`; `close` turns them into `path`.

    With `resume`, keeps the results of an equal run, from the parts or else from the finished file, which is
    read through to see that it is whole; without, starts again, and an old file stays until the new one is
    complete. Files that fluxpath did not write are never replaced.
    Raises InputError for a missing folder, another run's results, a damaged or foreign file, and while
    another run writes to `path`.
    """

    def __init__(self, path: Path, form: Format, head: Head, resume: bool) -> None:
        if not path.parent.is_dir():
            raise InputError(f"'{path}': there is no folder '{path.parent}' to write to")
        self._path, self._form, self._head = path, form, replace(head, form=path.suffix)
        parts = (path.with_name(path.name + ".part"), path.with_name(path.name + ".rows.part"))
        self._journal = Journal(*parts, self._head, path, form.bare)
        self._old: list[Row] | None = None
        try:
            self._need_own()
            self._done = {row.name for row in self._start(resume)}
        except BaseException:
            self._journal.close(remove=self._journal.is_new)
            raise

    def _need_own(self) -> None:
        """Raise InputError if closing would replace a file that fluxpath did not write."""
        if any(os.path.lexists(file) for file in self._form.files(self._path)):
            self._form.head(self._path)

    def _start(self, resume: bool) -> list[Row]:
        """The rows that are kept; the journal is begun, unless they are the finished file's."""
        begun = self._journal.recover() if resume else []
        if resume and self._path.exists():
            finished = self._finished(begun)
            if len(finished) > len(begun) or not begun:
                self._old = finished
                return finished
        if begun:
            self._journal.go_on(len(begun))
        else:
            self._journal.begin()
        return begun

    def _finished(self, begun: list[Row]) -> list[Row]:
        """The rows of the finished file; none if a journal is there and it is damaged or another run's."""
        try:
            found, rows = self._form.read(self._path)
            if rows:
                self._head.check(found, self._path)
            for _ in self._form.values(self._path):
                pass
        except InputError:
            if begun:
                return []
            raise
        return rows

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
        """Write the file and delete the parts; only delete them if no image was added to a finished file."""
        if self._old is None:
            rows = self._journal.seal()
            self._need_own()
            self._form.write(self._journal, rows, self._path)
        self._journal.close(remove=True)

    def abandon(self) -> None:
        """Leave the parts for a later run, unless they hold nothing."""
        self._journal.close(remove=self._journal.is_empty)
