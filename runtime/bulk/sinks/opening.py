"""Opens the sink that a path's suffix names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fluxpath.errors import InputError
from fluxpath.runtime.bulk.sinks.base import Sink
from fluxpath.runtime.bulk.sinks.lines import Lines
from fluxpath.runtime.bulk.sinks.npy import Npy
from fluxpath.runtime.bulk.sinks.npz import Npz
from fluxpath.runtime.bulk.sinks.parquet import Parquet
from fluxpath.runtime.bulk.sinks.stacked import Format, StackedSink
from fluxpath.runtime.records.rows import Head

if TYPE_CHECKING:
    from fluxpath.runtime.pictures import Drawing

FORMATS: dict[str, Callable[[], Format]] = {".npz": Npz, ".npy": Npy, ".parquet": Parquet, ".jsonl": Lines}


def open_sink(
    path: str | os.PathLike[str],
    head: Head,
    *,
    resume: bool = True,
    low: float | None = None,
    high: float | None = None,
    npy: bool = False,
    flat: bool = False,
    drawing: Drawing | None = None,
    cards: bool = False,
) -> Sink:
    """The sink that `path` names: a .npz, .npy, .parquet or .jsonl file, or a folder of overlays.

    A path means a folder if it is one, ends in "/" or has no suffix; the other settings apply only there
    (see `FolderSink`). Raises InputError for any other suffix, and what the sinks raise.
    """
    form = form_of(path)
    if form is None:
        from fluxpath.runtime.bulk.sinks.pictures import FolderSink  # needs Pillow, which not every run does

        return FolderSink(
            Path(path),
            head,
            resume,
            low=low,
            high=high,
            npy=npy,
            flat=flat,
            drawing=drawing,
            cards=cards,
        )
    return StackedSink(Path(path), form(), head, resume)


def form_of(path: str | os.PathLike[str]) -> Callable[[], Format] | None:
    """The format of the file that `path` names, or None for a folder; InputError as in `open_sink`."""
    text, plain = os.fspath(path), Path(path)
    if not text:
        raise InputError("the path to write to is empty: name a file or a folder ('.' is the current one)")
    if text.endswith(("/", os.sep)) or plain.is_dir() or not plain.suffix:
        return None
    if plain.suffix not in FORMATS:
        raise InputError(
            f"'{text}' is neither a {', '.join(FORMATS)} file nor a folder (write '{text}/' for a folder)"
        )
    return FORMATS[plain.suffix]
