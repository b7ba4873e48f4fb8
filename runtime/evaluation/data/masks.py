"""Masks of the pixels that are known to matter: a folder of pictures named like the images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from fluxpath.runtime.bulk.sources import photos_in
from fluxpath.runtime.evaluation.data.base import Fitting, Mask, no_mask


class Masks:
    """The pictures in `folder`, by the path of the image without its suffix, or by its last part alone.

    folder: None for no masks. InputError for a folder without pictures.
    """

    def __init__(self, folder: Path | None, fitting: Fitting) -> None:
        self.folder, self._fitting = folder, fitting
        self._files: dict[str, Path] = {}
        if folder is None:
            return
        for file in photos_in(folder):
            inside = file.relative_to(folder) if folder.is_dir() else Path(file.name)
            self._files[inside.with_suffix("").as_posix()] = file

    def __bool__(self) -> bool:
        return bool(self._files)

    def of(self, name: str) -> Callable[[], Mask | None]:
        """How the mask of an image is read; it is None for an image without one."""
        file = self.file_of(name)
        if file is None:
            return no_mask
        return lambda: self._fitting.mask(file, str(file))

    def file_of(self, name: str) -> Path | None:
        """The picture of an image's mask, if there is one."""
        pure = PurePosixPath(name).with_suffix("") if PurePosixPath(name).name else PurePosixPath(name)
        return self._files.get(str(pure), self._files.get(pure.name))
