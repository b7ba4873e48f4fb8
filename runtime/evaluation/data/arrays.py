"""Images in arrays: .npz files, which are read row by row, and objects in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import IO, Any

from fluxpath.checks import need
from fluxpath.errors import InputError, first_line
from fluxpath.files import regular
from fluxpath.npy import Rows
from fluxpath.runtime.evaluation.data.base import Data, Datum, Fitting, stamp_of
from fluxpath.runtime.evaluation.data.masks import Masks

_ARRAYS = {"images": ("biuf", 2), "labels": ("iufU", 1), "masks": ("biuf", 3)}


def archive_data(path: Path, fitting: Fitting, masks: Masks) -> Data:
    """The arrays images [n, ...], and where they are there labels [n] and masks [n, h, w], of an .npz file.

    Images are photos in uint8 or the model's input in floats. InputError for a file that has none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = {name for name in _ARRAYS if f"{name}.npy" in archive.namelist()}
            if "images" not in held:
                raise ValueError("it has no array 'images'")
            counts = {}
            for name in filter(held.__contains__, _ARRAYS):
                with archive.open(f"{name}.npy") as file:
                    rows = _rows(name, file, path)
                    counts[name] = rows.shape[0]
                    if name == "labels":
                        _check_labels(rows.read(counts[name]), fitting, path)
        need(counts["images"], f"'{path}' holds no images: its array 'images' is empty")
        _need_alike(counts, f"the arrays of '{path}'")
    except InputError:
        raise
    except Exception as error:  # on a damaged archive zipfile and numpy can raise anything
        raise InputError(
            f"'{path}' is not an .npz file with an array 'images' of numbers ({first_line(error)})"
        ) from error

    def items() -> Iterator[Datum]:
        with ExitStack() as stack:
            stream = stack.enter_context(open(path, "rb", opener=regular))
            archive = stack.enter_context(zipfile.ZipFile(stream))
            rows = {
                name: Rows(stack.enter_context(archive.open(f"{name}.npy")), *_ARRAYS[name]) for name in held
            }
            for i in range(counts["images"]):
                yield _datum(i, {name: _next(each, path) for name, each in rows.items()}, fitting, masks)

    return Data(items, counts["images"], str(path.resolve()), "labels" in held, masked="masks" in held)


def _rows(name: str, file: IO[bytes], path: Path) -> Rows:
    try:
        return Rows(file, *_ARRAYS[name])
    except ValueError as error:
        raise InputError(f"'{path}', {name}: {first_line(error)}") from error


def _need_alike(counts: Mapping[str, int], which: str) -> None:
    told = " and ".join(f"{count} {name}" for name, count in counts.items())
    need(len(set(counts.values())) == 1, f"{which} have different lengths, {told}: give as many of each")


def _check_labels(labels: Any, fitting: Fitting, where: object) -> None:
    """Raise InputError for a wrong label, before hours are spent on the images before it."""
    for i, label in enumerate(labels):
        fitting.label(label, f"'{where}', label {i}")


def _next(rows: Rows, path: Path) -> Any:
    try:
        return rows.read()[0]
    except Exception as error:  # of a damaged archive
        raise InputError(f"'{path}' is damaged: {first_line(error)}") from error


def memory_data(given: Any, fitting: Fitting, masks: Masks) -> Data:
    """Data of Python objects: {"images": ..., "labels": ..., "masks": ...}, or an iterable of images,
    (name, image) and (name, image, label).

    An image is in any form that `Explainer.prepare` takes. An iterator can be read once only, so a run of it
    cannot go on later.
    """
    if isinstance(given, Mapping):
        columns = {name: given[name] for name in _ARRAYS if name in given and given[name] is not None}
        strange = sorted(set(given) - set(_ARRAYS))
        if "images" not in columns or strange:
            raise InputError(
                f"data has {sorted(given)}, and must have 'images', and may have 'labels', 'masks'"
            )
        columns = {name: _Column(name, values) for name, values in columns.items()}
        lengths = {name: len(values) for name, values in columns.items()}
        _need_alike(lengths, "the arrays of data")
        _check_labels(columns.get("labels", ()), fitting, "data")

        def rows() -> Iterator[Datum]:
            for i in range(lengths["images"]):
                yield _datum(i, {name: values[i] for name, values in columns.items()}, fitting, masks)

        return Data(rows, lengths["images"], None, "labels" in columns, masked="masks" in columns)
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise InputError(
            f"data is {given!r:.80}, it must be a path, a dict of arrays, or an iterable of images"
        )
    count = len(given) if isinstance(given, Sized) else None
    once = iter(given)
    first = next(once, None)
    labelled = isinstance(first, tuple) and len(first) == 3
    begun = chain([] if first is None else [first], once)

    def items() -> Iterator[Datum]:
        for i, each in enumerate(begun if count is None else given):
            yield _element(i, each, fitting, masks)

    return Data(items, count, None, labelled)


class _Column:
    """Rows of an array or a list, by their places; InputError for what has none."""

    def __init__(self, name: str, values: Any) -> None:
        placed = isinstance(values, Sized) and hasattr(values, "__getitem__")
        if not placed or isinstance(values, Mapping | str | bytes) or getattr(values, "shape", None) == ():
            raise InputError(f"{name} of data are {values!r:.80}, they must be arrays or lists")
        # A Series or DataFrame of pandas looks rows up by their labels, and has `iloc` for places.
        self._count, self._rows = len(values), getattr(values, "iloc", values)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Any:
        if place >= self._count:
            raise IndexError(place)
        return self._rows[place]


def _element(i: int, given: Any, fitting: Fitting, masks: Masks) -> Datum:
    name, label = f"{i:06d}", None
    if isinstance(given, tuple):
        if len(given) not in (2, 3) or not isinstance(given[0], str):
            raise InputError(
                f"element {i} of data is a tuple, it must be (name, image) or (name, image, label)"
            )
        name, given, label = given if len(given) == 3 else (*given, None)
    elif isinstance(given, str | Path):
        name = Path(given).as_posix()
    if not name:
        raise InputError(f"element {i} of data has the name '', it must have one")
    label = fitting.label(label, f"'{name}'")
    stamp = stamp_of(given, masks.file_of(name))
    return Datum(name, lambda: fitting.image(given, name), label, masks.of(name), stamp)


def _datum(i: int, row: Mapping[str, Any], fitting: Fitting, masks: Masks) -> Datum:
    name = f"{i:06d}"
    label = fitting.label(row.get("labels"), f"label {i}")
    mask = masks.of(name) if "masks" not in row else lambda: fitting.mask(row["masks"], name)
    stamp = stamp_of(row["images"], row["masks"] if "masks" in row else masks.file_of(name))
    return Datum(name, lambda: fitting.image(row["images"], name), label, mask, stamp)
