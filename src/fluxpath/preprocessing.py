"""How a photo becomes an input of the model: chosen at export, kept in the manifest, done by the runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fluxpath.checks import need, one_of, plain, whole
from fluxpath.errors import InputError

INTERPOLATIONS = ("bilinear", "nearest", "bicubic", "lanczos")
LARGEST_SIDE = 2**14
"""The most pixels of a side that a photo is resized to: a file can come from a stranger."""


@dataclass(frozen=True)
class Preprocessing:
    """How photos become inputs, which should be how the model's training did it.

    resize: the photo's shorter side in pixels after resizing, the longer one in proportion; None: the photo
        is resized just to cover the input.
    crop: height and width of the centre that is kept, or one number for both; None: the input's own.
    interpolation: "bilinear", "nearest", "bicubic" or "lanczos", antialiased as Pillow does it.
    pad: True resizes the whole photo into the input, in place of cropping, and fills the rest with black.

    With `resize` and `crop` this is torchvision's Resize and CenterCrop. Raises InputError for settings that
    do not fit one another.
    """

    resize: int | None = None
    crop: int | tuple[int, int] | None = None
    interpolation: str = "bilinear"
    pad: bool = False

    def __post_init__(self) -> None:
        plain(self)
        if self.resize is not None:
            whole("resize", self.resize, 1, LARGEST_SIDE)
        one_of("interpolation", self.interpolation, INTERPOLATIONS)
        need(isinstance(self.pad, bool), f"pad is {self.pad!r}, it must be True or False")
        if self.crop is not None:
            sides = tuple(self.crop) if isinstance(self.crop, tuple | list) else (self.crop, self.crop)
            need(len(sides) == 2, f"crop is {self.crop!r}, it must be height and width, or one number")
            for side in sides:
                whole("crop", side, 1, LARGEST_SIDE)
            object.__setattr__(self, "crop", sides)
            self._need_room(sides)
        alone = self.resize is None and self.crop is None
        need(alone or not self.pad, "pad fits the whole photo into the input: leave out resize and crop")

    def _need_room(self, sides: tuple[int, ...]) -> None:
        need(
            self.resize is None or self.resize >= max(sides),
            f"resize is {self.resize}, less than the {max(sides)} pixels of the crop: the shorter side of "
            "the photo must cover it",
        )

    def check(self, shape: tuple[int | None, ...]) -> None:
        """Raise InputError unless photos can become inputs of this shape, without the batch; None is open."""
        listed = [("?" if d is None else d) for d in shape]
        need(
            len(shape) == 3 and shape[0] in (1, 3),
            f"the model takes inputs of shape {listed}, and photos need [1 or 3, h, w]",
        )
        if isinstance(self.crop, tuple):
            fits = all(d in (None, side) for d, side in zip(shape[1:], self.crop, strict=True))
            need(fits, f"crop is {list(self.crop)}, and the model takes inputs of shape {listed}")
        self._need_room(tuple(d for d in shape[1:] if d is not None) or (1,))

    def __str__(self) -> str:
        if self.pad:
            return f"resized to fit, {self.interpolation}, padded with black"
        first = "resized to cover" if self.resize is None else f"shorter side to {self.resize}"
        size = "" if not isinstance(self.crop, tuple) else f" to {self.crop[0]} x {self.crop[1]}"
        return f"{first}, {self.interpolation}, centre cropped{size}"


DEFAULT = Preprocessing()
"""How photos become inputs where a file does not say it."""


def read(value: Any) -> Preprocessing | None:
    """The preprocessing in a manifest's field; None where it is null. InputError for anything else."""
    if value is None:
        return None
    need(isinstance(value, dict), "preprocessing is no object")
    unknown = sorted(set(value) - set(Preprocessing.__dataclass_fields__))
    need(not unknown, f"preprocessing has the unknown field {unknown[:1]!r:.60}")
    return Preprocessing(**value)


def readable(value: Any) -> bool:
    """Whether `read` takes it."""
    try:
        read(value)
    except InputError:
        return False
    return True
