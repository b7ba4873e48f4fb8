"""What stands where a pixel is removed.

    "black"   the lowest value of the model's range, 0 where it has none
    "mean"    the image's own mean colour
    "blur"    the image under a Gaussian of sigma 20 pixels (NeFLAG's appendix; Sturmfels, Lundberg, Lee 2020)
    "zero"    what the model's own normalisation makes zero: the mean that the file subtracts, or 0
    "rise-blur"  RISE's: 11 x 11 taps of a Gaussian of sigma 5, and "zero" beyond the border
    "uniform" noise, uniform in the model's range, of the case's seed
    "linear"  noisy linear imputation (ROAD, Rong et al. 2022), see `imputation`
    "kept-mean"  the mean of all elements that are left, as in LPI's DiffID; of the image, if none is
    a number  in units of the model's input

The Gaussian of sigma 20 is exact: separable, in float64, cut off at four sigma (80 pixels) with weights that
sum to one, and mirrored at the border (d c b a | a b c d | d c b a), as scipy.ndimage.gaussian_filter does by
default. In pixels, so at 32 x 32 little but the mean colour is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from numbers import Real
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.runtime.metrics.base import Case, Image
from fluxpath.runtime.metrics.imputation import Imputation
from fluxpath.runtime.metrics.layout import Layout, range_of, within
from fluxpath.runtime.metrics.noise import generator

Substrate: TypeAlias = str | float
"""A name of `SUBSTRATES` or `DEPENDENT`, or a number in units of the model's input."""

_PLAIN = "'black', 'mean' or a number"
"""Substrates of any input."""


def as_substrate(name: str, value: object) -> Substrate:
    """`value` as a substrate; InputError, which calls the setting `name`, if it is none."""
    given = value
    if isinstance(value, str) and (value in SUBSTRATES or value in DEPENDENT):
        return value
    if isinstance(value, str):
        try:
            value = float(value)  # as the command line has it
        except ValueError:
            value = None
    if isinstance(value, Real) and not isinstance(value, bool) and np.isfinite(float(value)):
        return float(value)
    known = ", ".join([*SUBSTRATES, *DEPENDENT])
    raise InputError(f"{name} is {given!r}, it must be one of {known}, or a finite number")


def filled(case: Case, substrate: Substrate) -> Image:
    """The input without any of the image's pixels, float32 [*shape], read-only; the same array each time.

    InputError for a picture's substrate where the input is none, and for one that leaves no image over.
    """
    kept, key = case.kept, ("substrate", substrate, case.seed, range_of(case))
    if key not in kept:
        if isinstance(substrate, str):
            image = within(case, SUBSTRATES.get(substrate, _nothing_left(substrate))(case))
        else:
            image = _constant(case, substrate)
        image.setflags(write=False)
        kept[key] = image
    made: Image = kept[key]
    return made


def exchanged(
    case: Case,
    substrate: Substrate,
    order: npt.NDArray[np.int64],
    counts: Sequence[int],
    remove: bool,
) -> Iterator[Image]:
    """The image without the first `count` rows of `order` (remove), or nothing but those, for each count.

    order: [n, together], as of `ranked`. The image itself and the substrate itself are yielded as the arrays
    that they are; any other is one array that the next overwrites.
    """
    start, end = case.image, filled(case, substrate)
    if not remove:
        start, end = end, start
    dependent = DEPENDENT.get(substrate) if isinstance(substrate, str) else None
    filling = None if dependent is None else dependent(case)
    work, source = start.copy(), end.reshape(-1)
    flat, done = work.reshape(-1), 0
    for count in counts:
        changed = order[done:count].reshape(-1)
        flat[changed] = source[changed]
        done = max(done, count)
        if count == 0 or count == len(order):
            yield start if count == 0 else end
        elif filling is None:
            yield work
        else:
            removed = np.zeros(case.image.size, bool)
            removed[(order[:count] if remove else order[count:]).reshape(-1)] = True
            yield filling.without(removed.reshape(case.image.shape))


def _black(case: Case) -> npt.NDArray[np.float64]:
    low, _ = range_of(case)
    return np.full(case.image.shape, low if np.isfinite(low) else 0.0)


def _constant(case: Case, value: float) -> Image:
    low, high = range_of(case)
    if not low <= value <= high:
        raise InputError(f"the substrate is {value:g}, and the model's input from {low:g} to {high:g}")
    return np.full(case.image.shape, value, np.float32)


def _mean(case: Case) -> npt.NDArray[np.float64]:
    channels = case.image.astype(np.float64).reshape(Layout(case.image.shape).channels, -1)
    return np.repeat(channels.mean(axis=1), channels.shape[1]).reshape(case.image.shape)


def _nothing_left(substrate: str) -> Callable[[Case], Image]:
    return lambda case: DEPENDENT[substrate](case).without(np.ones(case.image.shape, bool))


class KeptMean:
    """Fills the removed elements with the mean of those that are left."""

    def __init__(self, case: Case) -> None:
        self._image = case.image

    def without(self, removed: npt.NDArray[np.bool_]) -> Image:
        """The image with the elements that are `removed`, bool [*shape], filled: float32 [*shape]."""
        kept = self._image if removed.all() else self._image[~removed]
        return np.where(removed, np.float32(kept.mean(dtype=np.float64)), self._image)


def _uniform(case: Case) -> npt.NDArray[np.float64]:
    low, high = range_of(case)
    if not np.isfinite(high - low):
        raise InputError("the substrate 'uniform' needs a model whose input has a range: export it with one")
    return generator(case, "uniform").uniform(low, high, case.image.shape)


def _blur(case: Case) -> npt.NDArray[np.float64]:
    return blurred(case.image, 20.0)


def blurred(image: Image, sigma: float) -> npt.NDArray[np.float64]:
    """The image under a Gaussian of `sigma` pixels, cut off at four sigma, mirrored at the border."""
    height, width = Layout(image.shape).need_plane("the substrate 'blur'", _PLAIN)
    return _filter(height, sigma) @ image.astype(np.float64) @ _filter(width, sigma).T


def _zero(case: Case) -> npt.NDArray[np.float64]:
    subject = case.attribution.subject
    mean = None if subject is None else subject.manifest.mean
    channels = Layout(case.image.shape).channels
    each = np.broadcast_to(np.asarray(mean or 0.0, np.float64), channels)
    return np.repeat(each, case.image.size // channels).reshape(case.image.shape)


def _rise_blur(case: Case) -> npt.NDArray[np.float64]:
    height, width = Layout(case.image.shape).need_plane("the substrate 'rise-blur'", _PLAIN)
    zero = _zero(case)
    return zero + _rise_filter(height) @ (case.image - zero) @ _rise_filter(width).T


@lru_cache(maxsize=16)
def _filter(size: int, sigma: float) -> npt.NDArray[np.float64]:
    """The Gaussian on a line of `size` pixels, as a matrix: a border that mirrors is part of it."""
    reach = int(4 * sigma + 0.5)
    steps = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    weights /= weights.sum()
    matrix = np.zeros((size, size))
    for row in range(size):
        places = (row + steps) % (2 * size)  # beyond the border the line runs back, and so on
        np.add.at(matrix[row], np.where(places < size, places, 2 * size - 1 - places), weights)
    return matrix


@lru_cache(maxsize=16)
def _rise_filter(size: int) -> npt.NDArray[np.float64]:
    """RISE's `gkern(11, 5)` on a line: a point on 11 pixels under a mirrored Gaussian; zeros beyond."""
    taps = _filter(11, 5.0)[:, 5]
    matrix = np.zeros((size, size))
    for row in range(size):
        for tap, weight in enumerate(taps):
            if 0 <= row + tap - 5 < size:
                matrix[row, row + tap - 5] = weight
    return matrix


SUBSTRATES: dict[str, Callable[[Case], npt.NDArray[np.floating]]] = {
    "black": _black,
    "mean": _mean,
    "blur": _blur,
    "zero": _zero,
    "rise-blur": _rise_blur,
    "uniform": _uniform,
}
"""For each name what makes the substrate of a case."""

DEPENDENT: dict[str, type[Imputation] | type[KeptMean]] = {"linear": Imputation, "kept-mean": KeptMean}
"""Substrates that depend on what is removed."""
