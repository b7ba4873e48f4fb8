"""Insertion: how fast the class appears when pixels are put in, the most relevant first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fluxpath.runtime.metrics.removal.game import Game
from fluxpath.runtime.metrics.substrates import Substrate


@dataclass(frozen=True)
class Insertion(Game):
    """The insertion score: Petsiuk, Das, Saenko: "RISE", BMVC 2018, Section 4.2.

    From an image of nothing but the substrate, pixels of the image are put in, those with the largest
    attribution first; the value is the area under the curve of the target's probability,

        sum_k (x_k - x_{k-1}) (p_k + p_{k-1}) / 2,   x_k the share of pixels put in after k of `steps` steps,

    with the whole substrate at k = 0 and the image itself at the end, in [0, 1], not divided by the image's
    own probability. A pixel's attribution is the sum over its channels, with its sign; of equal ones the
    lower number, by rows, comes first. In RISE's code ties are in no defined order, and the class is the one
    predicted; here it is the explained one. Settings: see `Game`. RISE takes 224 steps at 224 x 224 and its
    own blur: the preset "rise".

    Of a vector of features [f] each element is a pixel; the substrates blur, rise-blur and linear are then an
    InputError.
    """

    better: ClassVar[Literal["higher", "lower"]] = "higher"
    removes: ClassVar[bool] = False

    substrate: Substrate | tuple[Substrate, ...] = "blur"
