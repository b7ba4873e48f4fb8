"""Makes the model's input of photos: the one way for callers, bulk runs and the command line."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.arrays import as_array
from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.preprocessing import DEFAULT, Preprocessing
from fluxpath.runtime.inputs import as_images
from fluxpath.runtime.preparation.layouts import photos_in_array

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Preparation:
    """Makes inputs of `shape` (without the batch), within `low` and `high`, of photos in any form.

    A photo is a file's path or bytes, an open file, a PIL image, or an array or tensor of uint8, levels from
    0 (black) to 255: it is turned upright, fitted as `how` says, and black becomes `low`, white `high` (0 and
    1 where the input is unbounded). Float arrays are the model's input already.
    """

    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    how: Preprocessing = DEFAULT

    @classmethod
    def of(cls, manifest: Manifest, shape: tuple[int, ...]) -> Preparation:
        """The preparation that a file's manifest asks for; `shape` has no open sizes."""
        return cls(shape, manifest.low, manifest.high, manifest.preprocessing or DEFAULT)

    def check(self) -> None:
        """Raise InputError if the model does not take pictures."""
        self.how.check(self.shape)

    def all(self, images: Any, copy: bool = True) -> npt.NDArray[np.float32]:
        """Photos or float arrays as float32 [n, *shape], checked as in `as_images`, which explains `copy`.

        images: one photo, a list of them (of any forms and sizes), or arrays as in `Explainer.prepare`.
        """
        if is_photo(images):
            return self._checked(self.load(images)[None], copy=False)
        if isinstance(images, list | tuple) and not _is_one_array(images):
            if not images:
                raise InputError("images are empty: pass at least one")
            rows = [self._row(f"image {i}", image) for i, image in enumerate(images)]
            return self._checked(np.stack(rows), copy=False)
        array = as_array("images", images)
        if array.dtype == np.uint8:
            return self._checked(np.stack(self._from_levels("images", array)), copy=False)
        return self._checked(array, copy)

    def one(self, image: Any, name: str = "the image") -> Array:
        """One photo as float32 [*shape]; a float array, [*shape] or [1, *shape], as it is, unchecked."""
        if is_photo(image):
            return self.load(image, name)
        array = as_array(name, image)
        if array.dtype != np.uint8:
            return array.reshape(self.shape) if array.shape == (1, *self.shape) else array
        rows = self._from_levels(name, array)
        if len(rows) != 1:
            raise InputError(f"{name} has shape {list(array.shape)}, which is {len(rows)} photos, not one")
        return rows[0]

    def rows(self, name: str, given: Any) -> Sequence[Array]:
        """The photos in an array of bytes, not yet prepared, or the inputs in one of floats."""
        array = as_array(name, given)
        if array.dtype == np.uint8 and len(self.shape) == 3:
            return photos_in_array(name, array, self.shape[0])
        return array[None] if array.shape == self.shape else array  # type: ignore[return-value]

    def load(self, photo: Any, name: str = "the photo") -> npt.NDArray[np.float32]:
        """The photo at a path, in a file's bytes, an open file or a PIL image, float32 [*shape].

        InputError, which names the path, or the photo `name`, if it cannot be read.
        """
        from fluxpath.runtime.pictures.photos import decoded, reading

        self.check()
        if isinstance(photo, str | os.PathLike):
            name = str(photo)
        elif isinstance(photo, bytearray | memoryview):
            photo = bytes(photo)
        with reading(name):
            try:
                return self._fitted(decoded(photo))
            except IsADirectoryError as error:
                raise InputError("it is a folder: pass a folder alone, not in a list") from error

    def _checked(self, array: Array, copy: bool) -> npt.NDArray[np.float32]:
        return as_images(array, self.shape, self.low, self.high, copy)

    def _row(self, name: str, image: Any) -> Array:
        row = self.one(image, name)
        if row.dtype.kind != "f":
            raise InputError(
                f"{name} has dtype {row.dtype}, and must be float32, or uint8 for a photo's levels"
            )
        if row.shape != self.shape:
            raise InputError(f"{name} has shape {list(row.shape)}, and must have {list(self.shape)}")
        return row

    def _from_levels(self, name: str, array: Array) -> list[npt.NDArray[np.float32]]:
        from PIL import Image

        if len(self.shape) != 3:
            raise InputError(f"{name} of dtype {array.dtype} must be float32: divide bytes by 255 first")
        self.check()
        photos = photos_in_array(name, array, self.shape[0])
        return [self._fitted(Image.fromarray(np.ascontiguousarray(photo))) for photo in photos]

    def _fitted(self, photo: Any) -> npt.NDArray[np.float32]:
        from fluxpath.runtime.pictures.photos import fitted, scaled

        unbounded = self.low is None or self.high is None
        bounds = (0.0, 1.0) if unbounded else (self.low, self.high)
        return scaled(fitted(photo, self.shape, self.how), bounds)  # type: ignore[arg-type]


def is_photo(given: object) -> bool:
    """Whether it is a path, the bytes of a file, an open file or a PIL image."""
    pillow = sys.modules.get("PIL.Image")  # whoever has a PIL image has imported it
    return (
        isinstance(given, str | os.PathLike | bytes | bytearray)
        or (isinstance(given, memoryview) and given.format == "B" and given.ndim == 1)
        or callable(getattr(given, "read", None))
        or (pillow is not None and isinstance(given, pillow.Image))
    )


def is_array(given: object) -> bool:
    """Whether it is an array or tensor of one or more dimensions."""
    return isinstance(given, np.ndarray) or hasattr(given, "__dlpack__")


def _is_one_array(images: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list is an array written out, or holds float arrays that are one when stacked."""
    if not images:
        return False
    if all(isinstance(image, int | float | list | tuple | np.number) for image in images):
        return not any(_holds_photo(image) for image in images)
    first = images[0]
    return isinstance(first, np.ndarray) and all(
        isinstance(image, np.ndarray) and image.dtype.kind == "f" and image.shape == first.shape
        for image in images
    )


def _holds_photo(image: Any) -> bool:
    return isinstance(image, list | tuple) and any(is_photo(part) for part in image)
