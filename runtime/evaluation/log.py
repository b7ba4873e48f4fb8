"""The log of an evaluation, from which a run that was killed goes on: a line for each image.

Images are explained and measured a batch at a time, and their lines are written when it is done, with one
more line about the batch. What a killed run wrote of a batch without that line is cut off, and computed again
in the same company: a model can round differently in another.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fluxpath.errors import FluxpathError, InputError
from fluxpath.runtime.evaluation.data import Datum
from fluxpath.runtime.records.rowlog import RowLog, entries, hold_log
from fluxpath.runtime.records.rows import Head, foreign, named, stored

LOG = "evaluation.jsonl"
FORM = "evaluation"
AGAIN = "start over (--restart), or write elsewhere"


@dataclass(frozen=True)
class Line:
    """One line: about an image, or, with the name "", about a batch."""

    name: str
    content: dict[str, Any]

    def entry(self) -> dict[str, Any]:
        """See `rowlog.Entry`."""
        return {"name": stored(self.name), **self.content}


class RunLog:
    """The log in `folder`, which is made if there is none, held against other runs until `close`.

    outputs: the names of the files that are made of it. restart: begin anew instead of going on. Raises
    InputError for another run's log, for files of these names without a log, which fluxpath did not write,
    and while another run holds it.
    """

    def __init__(self, folder: Path, head: Head, outputs: Sequence[str], restart: bool = False) -> None:
        self.path = folder / LOG
        self._folder, self._made = folder, not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder '{folder}': {error.strerror}") from error
        self._held = hold_log(self.path, FORM, folder)
        self.batches = 0
        try:
            if self._held.created:
                _need_free(folder, outputs)
            keep = None if restart else self._whole(replace(head, form=FORM))
            self._log = RowLog(self.path, replace(head, form=FORM), keep)
        except BaseException:
            self._release()
            raise

    def _whole(self, head: Head) -> int | None:
        """Where the last whole batch ends, in bytes; None without one: there is nothing to go on from."""
        keep: int | None = None
        theirs: Head | None = None
        for entry, end in entries(self.path):
            if theirs is None:
                theirs = Head.of(entry, self.path)
            elif not isinstance(entry, dict):
                break
            elif entry.get("name") == "":
                keep, self.batches = end, self.batches + 1
        if theirs is not None and keep is not None:
            head.check(theirs, self.path, AGAIN)
        return keep

    @property
    def temporary(self) -> Path:
        """A name for a file that is being written, by which the next run finds what a killed one left."""
        return self._log.temporary

    def append(self, lines: Sequence[Line]) -> None:
        """Add a batch's lines; the last is about the batch."""
        self._held.check()
        self._log.append(*lines)
        self.batches += 1

    def lines(self) -> Iterator[Line]:
        """Every line of the whole batches."""
        return read(self.path)

    def close(self, remove: bool = False) -> None:
        """Let the folder go; can be called twice.

        A log in which nothing was written is deleted, any with `remove`, and an empty folder made for it.
        """
        self._log.close()
        self._release(remove)

    def _release(self, remove: bool = False) -> None:
        empty = remove or (self.batches == 0 and self._held.created)
        self._held.release(remove=empty)
        if empty and self._made:
            with suppress(OSError):  # something else is in it by now
                self._folder.rmdir()


def read(path: Path) -> Iterator[Line]:
    """The lines of a log after its head; InputError if it is broken."""
    for number, (entry, _) in enumerate(entries(path)):
        if not isinstance(entry, dict) or (number and not isinstance(entry.get("name"), str)):
            raise foreign(path)
        if number:
            yield Line(named(entry.pop("name")), entry)


def _need_free(folder: Path, outputs: Sequence[str]) -> None:
    for name in outputs:
        if os.path.lexists(folder / name):
            raise InputError(
                f"'{folder / name}' would be replaced, and no run of fluxpath wrote it: write elsewhere"
            )


def need_same(expected: Datum | None, line: Line, path: Path) -> None:
    """Raise InputError unless the next image of the data (None: there is none) is the one in the log."""
    name = "the end" if expected is None else expected.name
    if stored(name) != stored(line.name):
        raise InputError(
            f"'{path}' was written of other data, with '{line.name}' where there is '{name}' now: {AGAIN}"
        )
    if expected is not None and line.content.get("identity") != expected.identity:
        raise InputError(
            f"'{path}' was written of other data: '{name}' has another image, label or mask now: {AGAIN}"
        )


def need_all(count: int, batches: int, path: Path) -> None:
    """Raise FluxpathError unless as many batches were read as were written."""
    if count != batches:
        raise FluxpathError(f"'{path}' does not hold what was written to it: the disk fails")
