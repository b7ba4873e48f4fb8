"""Noisy linear imputation: removed pixels become the weighted mean of their neighbours, and a little noise.

Rong, Leemann, Borisov, Kasneci, Kasneci: "A Consistent and Efficient Evaluation Strategy for Attribution
Methods" (ROAD), ICML 2022, Section 4. Each removed pixel is the mean of its eight neighbours, those across an
edge with weight 1/6 and those across a corner with 1/12, over the neighbours that there are; all of these
equations at once, per channel. Then normal noise of standard deviation 0.01 of the range is added where
pixels were removed; it depends on the case's seed and the place alone, not on what else is removed.

The authors solve the sparse equations directly. They are symmetric and positive definite, so here the method
of conjugate gradients solves them, to 1e-9 of the right-hand side, from the last solution on. Where no pixel
of a channel is left the equations have no solution: the image's mean colour stands there. Results are clipped
to the model's range, which the paper does not do.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.metrics.base import Case, Image
from fluxpath.runtime.metrics.layout import Layout, width, within
from fluxpath.runtime.metrics.noise import generator

NOISE = 0.01
_TOLERANCE, _MOST_STEPS = 1e-9, 10_000

Planes = npt.NDArray[np.float64]


class Imputation:
    """Fills the removed pixels of one case's image, one set of them after the other."""

    def __init__(self, case: Case) -> None:
        self._case = case
        plane = Layout(case.image.shape).need_plane("the substrate 'linear'", "'black', 'mean' or a number")
        self._image: Planes = case.image.astype(np.float64).reshape(-1, *plane)
        self._sums = _neighbours(np.ones((1, *plane)))
        self._mean = self._image.mean(axis=(1, 2), keepdims=True)
        self._last = np.broadcast_to(self._mean, self._image.shape)
        self._noise = NOISE * width(case) * generator(case, "linear").standard_normal(self._image.shape)

    def without(self, removed: npt.NDArray[np.bool_]) -> Image:
        """The image with the elements that are `removed`, bool [*shape], imputed: float32 [*shape]."""
        gone = removed.reshape(self._image.shape)
        solved = self._solved(gone)
        self._last = solved
        values = np.where(gone, solved + self._noise, self._image)
        return within(self._case, values.reshape(self._case.image.shape))

    def _solved(self, gone: npt.NDArray[np.bool_]) -> Planes:
        """x with (sum of weights) x = weighted sum of the neighbours wherever `gone`; 0 elsewhere."""
        free = ~gone.all(axis=(1, 2), keepdims=True)  # channels of which something is left
        known = np.where(gone, 0.0, self._image)
        right = np.where(gone & free, _neighbours(known), 0.0)
        x = np.where(gone, np.where(free, self._last, self._mean), 0.0)
        inside = (gone & free).astype(np.float64)
        image, weights = self._apply(x * inside, inside), inside / self._sums
        residual = right - image
        limit = (_TOLERANCE * np.sqrt(_dot(right, right))) ** 2
        direction = residual * weights
        rho = _dot(residual, direction)
        scaled = np.empty_like(residual)
        for _ in range(_MOST_STEPS):
            if (_dot(residual, residual) <= limit).all():
                break
            image = self._apply(direction, inside)
            step = _ratio(rho, _dot(direction, image))
            x += np.multiply(step, direction, out=scaled)
            residual -= np.multiply(step, image, out=scaled)
            np.multiply(residual, weights, out=scaled)
            before, rho = rho, _dot(residual, scaled)
            direction *= _ratio(rho, before)
            direction += scaled
        return x

    def _apply(self, x: Planes, inside: Planes) -> Planes:
        """(sum of weights) x - weighted sum of the neighbours, where `inside` is one."""
        applied = self._sums * x
        applied -= _neighbours(x)
        applied *= inside
        return applied


def _neighbours(x: Planes) -> Planes:
    """The weighted sum of the neighbours that there are: [1 2 1] by [1 2 1] over 12, without the middle."""
    rows = 2 * x
    rows[:, 1:] += x[:, :-1]
    rows[:, :-1] += x[:, 1:]
    both = 2 * rows
    both[:, :, 1:] += rows[:, :, :-1]
    both[:, :, :-1] += rows[:, :, 1:]
    both -= np.multiply(x, 4, out=rows)
    both /= 12
    return both


def _dot(a: Planes, b: Planes) -> Planes:
    """For each channel, [channels, 1, 1]."""
    product: Planes = np.einsum("chw,chw->c", a, b)[:, None, None]
    return product


def _ratio(a: Planes, b: Planes) -> Planes:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
