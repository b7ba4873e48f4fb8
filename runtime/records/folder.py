"""A folder of pictures: one PNG per image, optionally its attribution as .npy, and results.jsonl."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from fluxpath.errors import InputError
from fluxpath.files import replacing
from fluxpath.runtime.pictures import SUFFIXES, is_ours, save_png
from fluxpath.runtime.records.rowlog import FOLDER, RESULTS, RowLog, hold_log, read_log
from fluxpath.runtime.records.rows import Head, Row

# The comment in a picture that has an array beside it: an array cannot say itself who wrote it.
WITH_ARRAY = "with its attribution"
# Names of files end at 255 bytes on most systems; a number and a suffix may follow.
LONGEST = 240
# Of an image's files, each four characters.
SUFFIXES_WRITTEN = (".png", ".npy")


class Folder:
    """Writes pictures under `folder`, named after the images: "cats/1.jpg" becomes cats/1.png.

    A second image of that name gets a number (cats/1-2.png), and so does a file or folder of a name that a
    folder or file has. flat: use only the last part of a name.
    npy: attributions are written beside the pictures.
    results.jsonl has one line per image; with `resume`, an image is skipped if its files exist with the sizes
    stated there; without, pictures of an earlier run stay under their names, but not in the list. Files that
    fluxpath did not write are never replaced, and links are not followed. Raises InputError if the folder
    cannot be made, it holds source images, another run's results or a foreign file, and while another run
    writes to it.
    """

    def __init__(
        self, folder: Path, head: Head, resume: bool, *, npy: bool = False, flat: bool = False
    ) -> None:
        if head.run.get("source") == str(folder.resolve()):
            raise InputError(
                f"the images come from '{folder}', and pictures must not lie among them: write elsewhere"
            )
        self._folder, self._npy, self._flat = folder, npy, flat
        self._made = not folder.exists()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot make the folder '{folder}': {error.strerror}") from error
        self._root = folder.resolve()
        self._held = hold_log(folder / RESULTS, FOLDER, folder)
        try:
            self._open_log(replace(head, form=FOLDER), resume)
        except BaseException:
            self._held.release(remove=self._held.created)
            raise

    def _open_log(self, head: Head, resume: bool) -> None:
        path = self._folder / RESULTS
        log = read_log(path) if resume else None
        if log is not None:
            head.check(log.head, path)
        self._empty = log is None
        self._old = {row.name: row for row in log.rows if row.files} if log else {}
        self._taken: set[str] = set()
        self._parents: set[str] = set()  # the folders of what is taken
        for row in self._old.values():
            self._take(_stem_of(row))
        keep = None if log is None else log.ends[-1] if log.ends else log.begin
        self._log = RowLog(path, head, keep)

    def done(self, name: str) -> bool:
        """Whether all of this image's files exist with the right sizes."""
        row = self._old.get(name)
        if row is None or (self._npy and not any(f.endswith(".npy") for f in row.files)):
            return False
        return all(_size(self._folder / file) == size for file, size in row.files.items())

    def write(self, picture: Image.Image, row: Row, values: npt.NDArray[np.float32] | None = None) -> Path:
        """Write the picture and with `npy` the values, then the row, so that all its files exist.

        Returns the picture's path.
        """
        self._held.check()
        name = row.name
        stem = _stem_of(self._old[name]) if name in self._old else self._free_stem(name)
        path, array = self._folder / f"{stem}.png", self._folder / f"{stem}.npy"
        self._need_own(path, array, self._old.get(name))
        if is_ours(path, comment=WITH_ARRAY) and not self._npy:
            array.unlink(missing_ok=True)  # of the attribution that is replaced
        path.parent.mkdir(parents=True, exist_ok=True)
        save_png(picture, path, self._log.temporary, WITH_ARRAY if self._npy else None)
        files = [f"{stem}.png"]
        if self._npy:
            files.append(f"{stem}.npy")
            with replacing(array, self._log.temporary) as temporary, temporary.open("xb") as file:
                np.save(file, np.asarray(values))
        self._empty = False
        self._log.append(replace(row, files={f: _size(self._folder / f) for f in files}))
        return path

    def close(self) -> None:
        """Close results.jsonl; FluxpathError if somebody deleted it."""
        self._held.check()
        self._log.close()
        self._held.release()

    def abandon(self) -> None:
        """Close results.jsonl, and delete it if nothing was written: a folder with one is not a source."""
        self._log.close()
        self._held.release(remove=self._empty)
        if self._empty and self._made:
            with suppress(OSError):  # something else is in it by now
                self._folder.rmdir()

    def _need_own(self, path: Path, array: Path, row: Row | None) -> None:
        """Raise InputError if what would be written leaves the folder or replaces a file of others."""
        for above in path.relative_to(self._folder).parents:
            if os.path.lexists(self._folder / above) and not (self._folder / above).is_dir():
                raise _not_ours(self._folder / above)
        parent = path.parent.resolve()
        if not parent.is_relative_to(self._root):
            raise InputError(f"'{path.parent}' is a link that leaves '{self._folder}': write elsewhere")
        if parent != self._root and os.path.lexists(parent / RESULTS):
            raise InputError(f"'{path.parent}' holds the results of another run: write elsewhere")
        # Only a picture that the log names may be cut short, as a failing disk leaves it.
        if os.path.lexists(path) and not is_ours(path, cut=row is not None):
            raise _not_ours(path)
        # The picture is written first and says whether there is an array.
        logged = row is not None and row.files.get(array.relative_to(self._folder).as_posix(), -2) == _size(
            array
        )
        owned = _size(array) >= 0 and (logged or is_ours(path, comment=WITH_ARRAY))
        if self._npy and os.path.lexists(array) and not owned:
            raise _not_ours(array)

    def _free_stem(self, name: str) -> str:
        pure = PurePosixPath(name.replace("\\", "/"))
        inside = not (self._flat or pure.is_absolute() or ".." in pure.parts)
        pure = PurePosixPath(*pure.parts) if inside else PurePosixPath(pure.name)
        wanted = str(pure.with_suffix("") if pure.suffix.lower() in SUFFIXES else pure)
        wanted = re.sub(r'[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]', "_", wanted).strip(".") or "image"
        wanted = "/".join(_short(part) for part in wanted.split("/"))
        *parents, last = wanted.split("/")
        parent = ""
        for part in parents:
            parent = _numbered(f"{parent}{part}", self._is_file) + "/"
        stem = _numbered(f"{parent}{last}", self._is_taken)
        self._take(stem)
        return stem

    def _take(self, stem: str) -> None:
        self._taken.add(stem)
        self._parents.update(str(parent) for parent in PurePosixPath(stem).parents)

    def _is_file(self, path: str) -> bool:
        """Whether a file of this run, or of an earlier one, has the path that a folder needs."""
        stem, suffix = path[:-4], path[-4:]
        if suffix not in SUFFIXES_WRITTEN:
            return path == RESULTS
        comment = None if suffix == ".png" else WITH_ARRAY
        written = (self._folder / path).is_file() and is_ours(self._folder / f"{stem}.png", comment=comment)
        return stem in self._taken or written

    def _is_taken(self, stem: str) -> bool:
        """Whether another image has the stem, or a folder of this or an earlier run a path that it needs."""
        files = [stem + suffix for suffix in SUFFIXES_WRITTEN]
        earlier = (picture for f in files for picture in (self._folder / f).rglob("*.png"))
        return stem in self._taken or not self._parents.isdisjoint(files) or any(map(is_ours, earlier))


def _numbered(wanted: str, taken: Callable[[str], bool]) -> str:
    """`wanted`, or the first of wanted-2, wanted-3, ... that is not taken."""
    free, number = wanted, 1
    while taken(free):
        number += 1
        free = f"{wanted}-{number}"
    return free


def _not_ours(path: Path) -> InputError:
    return InputError(f"'{path}' would be replaced, and fluxpath did not write it: write elsewhere")


def _short(part: str) -> str:
    data = part.encode()
    return part if len(data) <= LONGEST else data[:LONGEST].decode("utf-8", "ignore")


def _stem_of(row: Row) -> str:
    return next(iter(row.files), ".png").removesuffix(".png")


def _size(path: Path) -> int:
    """The size of a regular file; -1 for anything else, links included."""
    try:
        found = path.lstat()
    except OSError:
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1
