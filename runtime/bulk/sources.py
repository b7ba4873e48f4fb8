"""Turns the sources of `Explainer.attribute_many` into items: a name, a way to load the image, a target."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.runtime.preparation import Preparation
from fluxpath.runtime.preparation.preparation import is_array, is_photo
from fluxpath.runtime.records.rowlog import MANIFEST, RESULTS, is_folder

Source: TypeAlias = str | os.PathLike[str] | Iterable[Any]


@dataclass(frozen=True)
class Item:
    """One image to attribute. load: returns float32 [*shape] or the caller's array; InputError if damaged."""

    name: str
    load: Callable[[], npt.NDArray[Any]]
    target: int | None = None


def items(source: Source, photos: Preparation) -> tuple[Iterator[Item], int | None]:
    """The items of a source (see `Explainer.attribute_many`), and their number, or None if unknown.

    Raises InputError for a folder without images, a path that does not exist, and what is not iterable.
    Shards without images raise it once they are read.
    """
    if isinstance(source, str | os.PathLike):
        if shards := shards_of(Path(source)):
            return _sharded(shards, photos, Path(source)), None
        photos.check()
        files = photos_in(Path(source))
        return (_photo(name, f, photos) for name, f in named_in(Path(source), files)), len(files)
    if isinstance(source, Mapping):
        raise InputError("source is a dict: pass its items(), pairs of a name and an image")
    if is_photo(source):
        source = [source]
    elif is_array(source):
        source = photos.rows("source", source)
    if not isinstance(source, Iterable):
        raise InputError(f"source is {source!r}, it must be a folder of images or an iterable of images")
    count = len(source) if isinstance(source, Sized) else None
    return (_item(i, given, photos) for i, given in enumerate(source)), count


def photos_in(path: Path) -> list[Path]:
    """The image at `path`, or all images in a folder and its subfolders, sorted.

    Skips hidden files and folders, links to folders, and folders that fluxpath wrote. A subfolder that cannot
    be read is listed itself, so that loading it says why. Raises InputError if no image is left.
    """
    from fluxpath.runtime.pictures import SUFFIXES

    if not path.exists():
        raise InputError(f"there is no image or folder '{path}'")
    if not path.is_dir():
        return [path]
    found: list[Path] = []
    unread: list[OSError] = []
    for folder, folders, files in os.walk(path, onerror=unread.append):
        at = Path(folder)
        if at != path and wrote(at):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [at / f for f in files if Path(f).suffix.lower() in SUFFIXES and not f.startswith(".")]
    closed = [Path(error.filename) for error in unread]
    if path in closed:
        raise InputError(f"cannot read the folder '{path}': {unread[0].strerror}")
    if not found and not closed:
        raise InputError(f"the folder '{path}' holds no image ({', '.join(SUFFIXES)})")
    return sorted([*found, *closed])


def wrote(folder: Path) -> bool:
    """Whether fluxpath wrote a folder of results."""
    return any(is_folder(folder / name) for name in (RESULTS, MANIFEST))


def named_in(path: Path, files: Sequence[Path]) -> list[tuple[str, Path]]:
    """The files that were found at `path`, each with its name in results: its path in the folder."""
    root = path if path.is_dir() else path.parent
    return [(file.relative_to(root).as_posix(), file) for file in files]


def shards_of(path: Path) -> list[tuple[str, Path]]:
    """The shards at `path` with their names; none of a folder that has photos, which are then meant."""
    from fluxpath.runtime.bulk.shards import shards_in

    found = shards_in(path)
    with suppress(InputError):  # that there is no photo
        if found and path.is_dir() and photos_in(path):
            return []
    return named_in(path, found)


def _sharded(shards: list[tuple[str, Path]], photos: Preparation, source: Path) -> Iterator[Item]:
    from fluxpath.runtime.bulk.shards import items_of, no_image_in, slices

    empty = True
    for name, path in shards:
        for part in slices(path, name, 2**31):
            empty = False
            yield from items_of(part, photos)
    if empty:
        raise no_image_in(source)


def _item(index: int, given: Any, photos: Preparation) -> Item:
    """One element of an iterable: a photo, an array, or a tuple with its name and optionally its target."""
    if isinstance(given, Item):
        return given
    if isinstance(given, str | os.PathLike):
        return _photo(Path(given).as_posix(), given, photos)
    if not isinstance(given, tuple):
        return Item(f"{index:06d}", lambda: photos.one(given))
    if len(given) not in (2, 3) or not isinstance(given[0], str):
        return Item(f"{index:06d}", _misshapen)
    name, image, *target = given
    chosen = target[0] if target else None
    if isinstance(image, str | os.PathLike):
        return _photo(name, image, photos, chosen)
    return Item(name, lambda: photos.one(image), chosen)


def _photo(name: str, path: str | os.PathLike[str], photos: Preparation, target: int | None = None) -> Item:
    return Item(name, lambda: photos.load(path), target)


def _misshapen() -> npt.NDArray[Any]:
    raise InputError("an item must be a photo, an array, (name, image) or (name, image, target)")


def expanded(photos: Any) -> Any:
    """The photos in it where `photos` is a folder's path; anything else as it is.

    InputError for a path at which nothing is, and an empty one.
    """
    if not isinstance(photos, str | os.PathLike):
        return photos
    if not os.fspath(photos):
        raise InputError("the path is empty: name a photo or a folder (. is the current one)")
    return photos_in(Path(photos))


def listed(paths: Sequence[Path]) -> list[Path]:
    """Every image of several files and folders, in order."""
    return [file for path in paths for file in photos_in(path)]
