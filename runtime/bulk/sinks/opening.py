"""Opens the sink that a path's suffix names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from fluxpath.errors import InputError
from fluxpath.runtime.bulk.sinks.base import Head, Sink
from fluxpath.runtime.bulk.sinks.npy import Npy
from fluxpath.runtime.bulk.sinks.npz import Npz
from fluxpath.runtime.bulk.sinks.parquet import Parquet
from fluxpath.runtime.bulk.sinks.pictures import FolderSink
from fluxpath.runtime.bulk.sinks.stacked import Format, StackedSink

FORMATS: dict[str, Callable[[], Format]] = {".npz": Npz, ".npy": Npy, ".parquet": Parquet}


def open_sink(
    path: str | os.PathLike[str],
    head: Head,
    *,
    resume: bool = True,
    low: float | None = None,
    high: float | None = None,
    npy: bool = False,
    flat: bool = False,
) -> Sink:
    """The sink that `path` names: a .npz, .npy or .parquet file, or a folder of overlays.

    A path means a folder if it is one, ends in "/" or has no suffix; low, high, npy and flat apply only there
    (see `FolderSink`). Raises InputError for any other suffix, and what the sinks raise.
    """
    form = form_of(path)
    if form is None:
        return FolderSink(Path(path), head, resume, low=low, high=high, npy=npy, flat=flat)
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
