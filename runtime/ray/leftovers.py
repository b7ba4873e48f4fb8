"""Removes what a run that was killed left in a folder of parts, and no later one finished."""

from __future__ import annotations

from contextlib import suppress

from fluxpath.errors import FluxpathError
from fluxpath.runtime.bulk.sinks.journal import Journal
from fluxpath.runtime.bulk.sinks.parquet import Parquet
from fluxpath.runtime.records.parts import PREFIX, SUFFIX, Parts
from fluxpath.runtime.records.rows import Head

_VALUES, _ROWS = ".part", ".rows.part"


def tidy(parts: Parts) -> None:
    """Delete parts that the manifest does not list, so that the folder as a whole is the result.

    What fluxpath did not write, and what another process holds, stays.
    """
    for file in parts.unlisted():
        with suppress(FluxpathError, OSError):
            Parquet().head(file)
            file.unlink()
    for log in parts.folder.glob(f"{PREFIX}*{SUFFIX}{_ROWS}"):
        file = log.with_name(log.name.removesuffix(_ROWS))
        with suppress(FluxpathError, OSError):
            journal = Journal(file.with_name(file.name + _VALUES), log, Head({}, (), SUFFIX), file)
            journal.begin()  # deletes its temporary file
            journal.close(remove=True)
