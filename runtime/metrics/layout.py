"""How the elements of an input belong to pixels, and the range that they may have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.methods import width_of
from fluxpath.runtime.metrics.base import Case

Ranking = Literal["pixels", "channels", "elements"]
"""What is ranked: pixels, by the sum of their channels; each channel's pixels apart; or every element."""

RANKINGS = ("pixels", "channels", "elements")


_ORDERS: WeakKeyDictionary[Case, dict[tuple[Ranking, bool], npt.NDArray[np.int32]]] = WeakKeyDictionary()
"""The orders of cases that are being measured, for all metrics: sorting can take as long as evaluating."""


@dataclass(frozen=True)
class Layout:
    """The pixels of an input of `shape`: [h, w], or [c, h, w] with c channels each.

    Anything else, such as a vector of features [f], is no picture: each element is a pixel of its own.
    """

    shape: tuple[int, ...]

    @property
    def plane(self) -> tuple[int, int] | None:
        """Height and width, None where the input is no picture."""
        return (self.shape[-2], self.shape[-1]) if len(self.shape) in (2, 3) else None

    @property
    def channels(self) -> int:
        """The channels of a pixel."""
        return self.shape[0] if len(self.shape) == 3 else 1

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return math.prod(self.shape) // self.channels

    def need_plane(self, what: str, instead: str = "") -> tuple[int, int]:
        """Height and width; InputError where the input is none: `what` needs pictures, `instead` does not."""
        if self.plane is None:
            raise InputError(
                f"{what} needs pictures, inputs [h, w] or [c, h, w], and these are {list(self.shape)}"
                + (f": choose {instead}" if instead else "")
            )
        return self.plane


def relevance(case: Case) -> npt.NDArray[np.float64]:
    """The attribution of each pixel, summed over its channels, float64 [pixels]."""
    summed: npt.NDArray[np.float64] = _channels(case, False).sum(axis=0)
    return summed


def ranked(case: Case, ranking: Ranking = "pixels", absolute: bool = False) -> npt.NDArray[np.int64]:
    """What is replaced one after the other, the most relevant first, int64 [n, together].

    Each row numbers the elements of the flat input that are replaced at once: a pixel's channels; the next
    pixel of each channel; or one element. Of equal ones the lower number comes first. absolute: by the
    elements' sizes, before channels are summed.
    """
    orders = _ORDERS.setdefault(case, {})
    if (ranking, absolute) not in orders:
        values = _channels(case, absolute)
        if ranking == "pixels":
            values = values.sum(axis=0)[None]
        elif ranking == "elements":
            values = values.reshape(1, -1)
        orders[ranking, absolute] = np.argsort(-values, axis=1, kind="stable").astype(np.int32)
    order: npt.NDArray[np.int64] = orders[ranking, absolute].T.astype(np.int64)
    if ranking != "elements":
        layout = Layout(case.values.shape)
        order = order + np.arange(layout.channels) * layout.pixels
    return order


def forget_orders(case: Case) -> None:
    """Free the memory of the orders of a case that is measured."""
    _ORDERS.pop(case, None)


def _channels(case: Case, absolute: bool) -> npt.NDArray[np.float64]:
    values = case.values.astype(np.float64).reshape(Layout(case.values.shape).channels, -1)
    return np.abs(values) if absolute else values


def range_of(case: Case) -> tuple[float, float]:
    """The lowest and the highest value of the model's input; infinite where it has no bound."""
    subject = case.attribution.subject
    low, high = (None, None) if subject is None else (subject.manifest.low, subject.manifest.high)
    return (-math.inf if low is None else low, math.inf if high is None else high)


def width(case: Case) -> float:
    """The unit of lengths: high - low; 1 where an end is open."""
    low, high = range_of(case)
    return width_of(low, high)


def within(case: Case, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """`values` in float32, clipped to the range of the model's input."""
    low, high = range_of(case)
    clipped: npt.NDArray[np.float32] = np.clip(values.astype(np.float32), np.float32(low), np.float32(high))
    return clipped


def mask_of(case: Case) -> npt.NDArray[np.bool_] | None:
    """The mask, bool [pixels], None where the case has none; InputError where it does not fit the input."""
    if case.mask is None:
        return None
    layout = Layout(case.values.shape)
    shape = layout.plane or case.values.shape
    mask = np.asarray(case.mask)
    if mask.shape != shape or mask.dtype != np.bool_:
        raise InputError(
            f"the mask is {mask.dtype} {list(mask.shape)}, and must be bool {list(shape)}, one for each pixel"
        )
    return mask.reshape(-1)
