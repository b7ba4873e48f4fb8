"""What data are, and how photos, labels and masks fit the model."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.arrays import as_array
from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.runtime.inputs import as_targets
from fluxpath.runtime.preparation import Preparation
from fluxpath.runtime.preparation.preparation import is_photo

Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def no_mask() -> Mask | None:
    """Nobody knows which pixels matter."""
    return None


@dataclass(frozen=True)
class Datum:
    """One image. load: float32 [*shape]; mask: bool [h, w], or None; both raise InputError if damaged.

    label: the number of its class, or None. stamp: `stamp_of` what image and mask are made of.
    """

    name: str
    load: Callable[[], Image]
    label: int | None = None
    mask: Callable[[], Mask | None] = no_mask
    stamp: str = ""

    @property
    def masked(self) -> bool:
        """Whether there is a mask; it may be damaged."""
        return self.mask is not no_mask

    @property
    def identity(self) -> str:
        """What a run that goes on must find again beside the name."""
        return f"{self.label} {self.stamp}"


def stamp_of(*given: Any) -> str:
    """What tells these from others of the same names, cheaply: of a path its file's size and time of change,
    of bytes, arrays and what can be read as one a checksum; nothing of other objects.
    """
    return " ".join(map(_stamp, given))


def _stamp(given: Any) -> str:
    if isinstance(given, str | os.PathLike):
        try:
            found = os.stat(given)
        except (OSError, ValueError):  # it is told when it is read
            return ""
        return f"{found.st_size}:{found.st_mtime_ns}"
    if isinstance(given, bytes):
        return f"{zlib.crc32(given):08x}"
    try:
        array = as_array("data", given)
    except InputError:  # it is told when it is prepared
        return ""
    if array.dtype.kind not in "biuf":
        return ""
    return f"{array.dtype}{list(array.shape)}{zlib.crc32(np.ascontiguousarray(array).data):08x}"


@dataclass(frozen=True)
class Data:
    """Images in a fixed order; `items` begins anew at each call, and reads as it goes.

    count: how many there are, None if unknown. source: where they are from, so that a run goes on only with
    the same; None for objects in memory. labelled: whether images have labels. note: a sentence for the
    user, or "". masked: whether images have masks, all or some.
    """

    items: Callable[[], Iterator[Datum]]
    count: int | None
    source: str | None = None
    labelled: bool = False
    note: str = ""
    masked: bool = False


@dataclass(frozen=True)
class Fitting:
    """Makes the model's inputs, class numbers and masks of what data hold."""

    manifest: Manifest
    shape: tuple[int, ...]

    @cached_property
    def _photos(self) -> Preparation:
        return Preparation.of(self.manifest, self.shape)

    def need_photos(self) -> None:
        """Raise InputError unless the model takes photos."""
        self._photos.check()

    def image(self, given: Any, name: str) -> Image:
        """A photo (a path, bytes, levels in uint8) or the input itself, as float32 [*shape], checked."""
        one = self._photos.load(given, name) if is_photo(given) else self._photos.one(given, f"'{name}'")
        try:
            checked = self._photos.all(one[None])
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        return np.asarray(checked[0])

    def label(self, given: Any, where: str) -> int | None:
        """The number of a class that is given by number or name; None for no label.

        No label is None, NaN, pandas' NA, an empty text, and -1, as a number or as text.
        """
        if getattr(given, "shape", None) == ():  # a number of numpy's, or a tensor
            given = as_array("label", given).item()
        if isinstance(given, float) and given.is_integer():
            given = int(given)  # as pandas has integers beside gaps
        if given is None or type(given).__name__ == "NAType":  # pandas is not imported for its NA
            return None
        if (isinstance(given, str) and not given.strip()) or (isinstance(given, float) and given != given):
            return None
        if not isinstance(given, int | float | str):
            raise InputError(f"{where}: the label is {given!r:.80}, it must be one class, by number or name")
        try:
            number = int(as_targets(given, 1, self.manifest.classes, self.manifest.class_names)[0])
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        return None if number == -1 else number

    def mask(self, given: Any, name: str) -> Mask:
        """A mask as bool [h, w] of the input's size: what is brighter than half of its brightest pixel.

        Of floats up to 1 it is what is 0.5 or more.

        given: a picture's path, or an array [h, w] of bools or numbers; it is resized and cropped as photos
        are, without blending, unless it has the input's size.
        """
        if len(self.shape) < 2:
            raise InputError(f"masks are of images, and the model takes inputs of shape {list(self.shape)}")
        size = self.shape[-2:]
        if not is_photo(given):
            array = as_array(name, given)
            if array.shape == (1, *array.shape[-2:]):
                array = array[0]
            if array.ndim != 2 or array.dtype.kind not in "biuf":
                raise InputError(
                    f"the mask of '{name}' is {array.dtype} {list(array.shape)}, and must be [h, w]"
                )
            share = array.dtype.kind == "f" and array.max(initial=0) <= 1
            inside = array >= 0.5 if share else array > array.max(initial=0) / 2
            given = np.uint8(255) * inside.astype(np.uint8)
            if array.shape == size:
                return np.asarray(given > 0)
        how = self._photos.how
        fit = Preparation((1, *size), 0.0, 1.0, replace(how, interpolation="nearest"))
        plane = (fit.load(given, name) if is_photo(given) else fit.one(given, name))[0]
        return np.asarray(plane > plane.max() / 2)
