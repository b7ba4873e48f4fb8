"""Finds out in which form data are."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from fluxpath.errors import InputError
from fluxpath.files import as_path
from fluxpath.manifest import Manifest
from fluxpath.runtime.evaluation.data.arrays import archive_data, memory_data
from fluxpath.runtime.evaluation.data.base import Data, Fitting
from fluxpath.runtime.evaluation.data.folders import folder_data
from fluxpath.runtime.evaluation.data.masks import Masks
from fluxpath.runtime.evaluation.data.tables import ARROW, TEXT, table_data

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def open_data(
    source: Any,
    manifest: Manifest,
    shape: tuple[int, ...],
    *,
    masks: str | os.PathLike[str] | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
) -> Data:
    """The data at a path, or in memory; see `fluxpath.runtime.evaluation.evaluate`. InputError if none."""
    fitting = Fitting(manifest, shape)
    pictures = Masks(None if masks is None else as_path(masks, "the folder of masks"), fitting)
    data = _opened(source, fitting, pictures, image_column, label_column)
    if not pictures:
        return data
    if data.count is not None and not any(each.masked for each in data.items()):
        raise InputError(
            f"no picture in '{masks}' is named like an image: a mask has its image's name, but for the suffix"
        )
    return replace(data, masked=True)


def _opened(
    source: Any, fitting: Fitting, pictures: Masks, image_column: str | None, label_column: str | None
) -> Data:
    if not isinstance(source, str | os.PathLike):
        _need_no_columns(image_column, label_column, "objects in memory")
        return memory_data(source, fitting, pictures)
    path = as_path(source, "the data")
    if not path.exists():
        raise InputError(f"there are no data at '{path}'")
    table = _table_in(path)
    if table is not None:
        return table_data(table, fitting, pictures, image_column, label_column)
    _need_no_columns(image_column, label_column, f"'{path}'")
    if path.is_dir():
        return folder_data(path, fitting, pictures)
    if path.suffix.lower() == ".npz":
        return archive_data(path, fitting, pictures)
    return _one_photo(path, fitting, pictures)


def _table_in(path: Path) -> Path | None:
    """The table that a path is or holds: a file, a data set saved by `datasets`, or an imagefolder's list."""
    if not path.is_dir():
        return path if path.suffix.lower() in (*TEXT, *ARROW) else None
    if (path / "dataset_dict.json").is_file():
        try:
            splits = json.loads((path / "dataset_dict.json").read_text(encoding="utf-8"))["splits"]
            first = str(splits[0])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError(f"'{path / 'dataset_dict.json'}' does not name a data set's splits") from error
        raise InputError(
            f"'{path}' holds the splits {', '.join(map(str, splits))} of a data set: name one, as in "
            f"'{path / first}'"
        )
    if (path / "state.json").is_file() and any(path.glob("*.arrow")):
        return path
    return next((path / name for name in _METADATA if (path / name).is_file()), None)


def _one_photo(path: Path, fitting: Fitting, masks: Masks) -> Data:
    from fluxpath.runtime.pictures import SUFFIXES

    if path.suffix.lower() not in SUFFIXES:
        kinds = ", ".join((".npz", *TEXT, *ARROW))
        raise InputError(f"'{path}' is neither a folder of photos, a photo, nor one of the files {kinds}")
    return memory_data([(path.name, path)], fitting, masks)


def _need_no_columns(image_column: str | None, label_column: str | None, what: str) -> None:
    if image_column is not None or label_column is not None:
        raise InputError(
            f"--image-column and --label-column are of tables, and {what} is none: leave them out"
        )
