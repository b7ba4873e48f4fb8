"""Shards, files of many images: the rows of a Parquet file, or the photos in a WebDataset's tar."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.files import regular
from fluxpath.runtime.bulk.sources import Item, wrote
from fluxpath.runtime.preparation import Preparation

SHARDS = (".parquet", ".tar")
# Rows of a Parquet file that are in memory at a time.
_ROWS = 32


@dataclass(frozen=True)
class Slice:
    """Consecutive images of a shard; each is named `name` and its row's or member's name.

    start: the number of the first row, or the byte at which the first member begins.
    """

    path: str
    name: str
    start: int
    count: int


def is_shard(path: Path) -> bool:
    """Whether the path's suffix is a shard's."""
    return path.suffix.lower() in SHARDS


def shards_in(path: Path) -> list[Path]:
    """The shard at `path`, or all in a folder and its subfolders, sorted, without what fluxpath wrote."""
    if not path.is_dir():
        return [path] if is_shard(path) else []
    found: list[Path] = []
    for folder, folders, files in os.walk(path):
        at = Path(folder)
        if at != path and wrote(at):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [at / f for f in files if is_shard(Path(f)) and not f.startswith((".", "_"))]
    return sorted(found)


def slices(path: Path, name: str, most: int) -> Iterator[Slice]:
    """A shard in slices of at most `most` images; InputError if it cannot be read."""
    with _readable(path):
        if path.suffix.lower() == ".parquet":
            with _parquet(path) as file:
                rows = file.metadata.num_rows
            for start in range(0, rows, most):
                yield Slice(str(path), name, start, min(most, rows - start))
            return
        with open(path, "rb", opener=regular) as opened, tarfile.open(fileobj=opened, mode="r:") as archive:
            starts = [member.offset for member in archive if _is_photo(member)]
        for i in range(0, len(starts), most):
            yield Slice(str(path), name, starts[i], len(starts[i : i + most]))


def no_image_in(source: Path) -> InputError:
    """The error for shards that were read and hold no image; one of several may be empty."""
    from fluxpath.runtime.pictures import SUFFIXES

    return InputError(
        f"there are no images in '{source}': a Parquet file has one in each row, and a tar has photos "
        f"({', '.join(SUFFIXES)})"
    )


def items_of(part: Slice, photos: Preparation) -> Iterator[Item]:
    """The images of a slice, read one after the other as they are loaded.

    Of a Parquet file, the column `image` is a photo's file (bytes, or a struct that has them), or the model's
    input, float32 [*shape] flattened or nested; `name` its name, if there is one, and otherwise its number.
    """
    path = Path(part.path)
    rows = _rows if path.suffix.lower() == ".parquet" else _members
    with _readable(path):
        for name, image in rows(path, part):
            whole = f"{part.name}/{name}"
            yield Item(whole, _loader(whole, image, photos))


def _loader(name: str, image: Any, photos: Preparation) -> Callable[[], npt.NDArray[Any]]:
    if image is None:
        return _missing
    if isinstance(image, bytes):
        return partial(photos.load, image, name)
    return partial(_shaped, image, photos)


def _missing() -> npt.NDArray[Any]:
    raise InputError("the row has no image")


def _shaped(image: Any, photos: Preparation) -> npt.NDArray[Any]:
    try:
        array = np.asarray(image, np.float32)
    except (ValueError, TypeError) as error:
        raise InputError("the image is neither a photo's file nor an array of numbers") from error
    return array.reshape(photos.shape) if array.size == np.prod(photos.shape) else array


def _members(path: Path, part: Slice) -> Iterator[tuple[str, bytes]]:
    with open(path, "rb", opener=regular) as opened:
        opened.seek(part.start)
        with tarfile.open(fileobj=opened, mode="r:") as archive:
            left = part.count
            while left and (member := archive.next()) is not None:
                if _is_photo(member):
                    file = archive.extractfile(member)
                    assert file is not None
                    left -= 1
                    yield member.name.removeprefix("./"), file.read()
                archive.members.clear()  # type: ignore[attr-defined]  # else it remembers them all


def _is_photo(member: tarfile.TarInfo) -> bool:
    from fluxpath.runtime.pictures import SUFFIXES

    name = Path(member.name)
    return member.isfile() and name.suffix.lower() in SUFFIXES and not name.name.startswith(".")


def _rows(path: Path, part: Slice) -> Iterator[tuple[str, Any]]:
    with _parquet(path) as file:
        names = set(file.schema_arrow.names)
        if "image" not in names:
            raise InputError(f"'{path}' has no column 'image', it has {', '.join(sorted(names)) or 'none'}")
        columns = [c for c in ("name", "image") if c in names]
        # Whole row groups before the slice are not read.
        first, group = 0, 0
        while group < file.num_row_groups and first + file.metadata.row_group(group).num_rows <= part.start:
            first += file.metadata.row_group(group).num_rows
            group += 1
        groups = range(group, file.num_row_groups)
        for batch in file.iter_batches(_ROWS, row_groups=groups, columns=columns):
            for i in range(max(0, part.start - first), batch.num_rows):
                number = first + i
                if number >= part.start + part.count:
                    return
                image = batch.column("image")[i].as_py()
                image = image.get("bytes") if isinstance(image, dict) else image
                name = batch.column("name")[i].as_py() if "name" in names else None
                yield (f"{number:09d}" if name is None else str(name)), image
            first += batch.num_rows


def _parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError('Parquet files need pyarrow: pip install "fluxpath[parquet]"') from error
    return pyarrow.parquet.ParquetFile(path)


class _readable:  # noqa: N801
    """While a shard is read: what a damaged one raises becomes an InputError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        damaged = isinstance(error, tarfile.TarError | OSError) or type(error).__name__.startswith("Arrow")
        if damaged and not isinstance(error, InputError):
            raise InputError(f"cannot read the shard '{self._path}': {error}") from error
