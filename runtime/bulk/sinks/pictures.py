"""A folder of overlays: one PNG per image, optionally its attribution as .npy, and results.jsonl."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.files import replacing
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.bulk.sinks.base import Head, Row
from fluxpath.runtime.bulk.sinks.rowlog import RowLog, read_log
from fluxpath.runtime.bulk.sources import RESULTS, SUFFIXES

SMALLEST = 224


class FolderSink:
    """Writes overlays under `folder`, named after the images: "cats/1.jpg" becomes cats/1.png.

    A second image of that name gets a number (cats/1-2.png). flat: use only the last part of a name.
    low, high: the input's range. npy: also write the attribution, float32 [*shape], beside the picture.
    results.jsonl has one line per image; with `resume`, an image is skipped if its files exist with the sizes
    stated there. Files that fluxpath did not write are never replaced. Raises InputError if inputs are not
    pictures, the folder cannot be made, or it holds source images, another run's results or a foreign file.
    """

    def __init__(
        self,
        folder: Path,
        head: Head,
        resume: bool,
        *,
        low: float | None = None,
        high: float | None = None,
        npy: bool = False,
        flat: bool = False,
    ) -> None:
        if len(head.shape) not in (2, 3) or (len(head.shape) == 3 and head.shape[0] not in (1, 3)):
            raise InputError(
                f"the model takes inputs of shape {list(head.shape)}, and overlays need [1 or 3, h, w] or "
                "[h, w]: write to a .npz, .npy or .parquet file"
            )
        if head.run.get("source") == str(folder.resolve()):
            raise InputError(
                f"the images come from '{folder}', and overlays must not lie among them: write elsewhere"
            )
        self._folder, self._npy, self._flat = folder, npy, flat
        self._range = (low, high)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder '{folder}': {error.strerror}") from error
        path = folder / RESULTS
        log = read_log(path) if resume and path.exists() else None
        if log is not None:
            head.check(log.head, path)
        self._empty = log is None
        self._old = {row.name: row for row in log.rows} if log else {}
        self._taken = {_stem_of(row) for row in self._old.values()}
        self._log = RowLog(path, head, None if log is None else log.ends[-1] if log.ends else log.begin)

    def done(self, name: str) -> bool:
        """Whether all of this image's files exist with the right sizes."""
        row = self._old.get(name)
        if row is None or (self._npy and not any(f.endswith(".npy") for f in row.files)):
            return False
        return all(_size(self._folder / file) == size for file, size in row.files.items())

    def write(self, name: str, image: npt.NDArray[np.float32], result: Attribution) -> Path:
        """Write the picture, then its row, so that all files in results.jsonl exist; return the picture's."""
        from fluxpath.runtime.pictures import overlay, save_png

        stem = _stem_of(self._old[name]) if name in self._old else self._free_stem(name)
        path = self._folder / f"{stem}.png"
        if name not in self._old and self._is_foreign(path):
            raise InputError(f"'{path}' would be replaced, and fluxpath did not write it: write elsewhere")
        path.parent.mkdir(parents=True, exist_ok=True)
        h, w = image.shape[-2:]
        save_png(overlay(self._unit(image), result.values[0], size=max(SMALLEST, h, w), smooth=h > 16), path)
        files = [f"{stem}.png"]
        if self._npy:
            files.append(f"{stem}.npy")
            with replacing(self._folder / files[1]) as temporary, temporary.open("xb") as file:
                np.save(file, result.values[0])
        self._empty = False
        self._log.append(Row.of(name, result, files={f: _size(self._folder / f) for f in files}))
        return path

    def close(self) -> None:
        """Close results.jsonl."""
        self._log.close()

    def abandon(self) -> None:
        """Close results.jsonl, and delete it if nothing was written: a folder with one is not a source."""
        self.close()
        if self._empty:
            (self._folder / RESULTS).unlink()

    def _unit(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The image scaled to [0, 1] by the model's range, or by its own extent, at least [0, 1]."""
        low, high = self._range
        if low is None or high is None:
            low, high = min(0.0, float(image.min())), max(1.0, float(image.max()))
        return (image - np.float32(low)) / np.float32(high - low)

    def _is_foreign(self, path: Path) -> bool:
        """Whether `path`, or the .npy file beside it, exists and was not written by fluxpath."""
        from fluxpath.runtime.pictures import is_ours

        if path.exists():
            return not is_ours(path)
        # The picture is written first, so an array without one is not ours.
        return self._npy and path.with_name(f"{path.stem}.npy").exists()

    def _free_stem(self, name: str) -> str:
        pure = PurePosixPath(name.replace("\\", "/"))
        inside = not (self._flat or pure.is_absolute() or ".." in pure.parts)
        pure = PurePosixPath(*pure.parts) if inside else PurePosixPath(pure.name)
        wanted = str(pure.with_suffix("") if pure.suffix.lower() in SUFFIXES else pure)
        wanted = re.sub(r'[<>:"|?*\x00-\x1f]', "_", wanted).strip(".") or "image"
        stem, number = wanted, 1
        while stem in self._taken:
            number += 1
            stem = f"{wanted}-{number}"
        self._taken.add(stem)
        return stem


def _stem_of(row: Row) -> str:
    return next(iter(row.files), ".png").removesuffix(".png")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
