"""Deletion: how fast the class disappears when pixels are removed, the most relevant first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fluxpath.runtime.metrics.removal.game import Game
from fluxpath.runtime.metrics.substrates import Substrate


@dataclass(frozen=True)
class Deletion(Game):
    """The deletion score: Petsiuk, Das, Saenko: "RISE", BMVC 2018, Section 4.2.

    Pixels of the image become the substrate's, those with the largest attribution first; the value is the
    area under the curve of the target's probability,

        sum_k (x_k - x_{k-1}) (p_k + p_{k-1}) / 2,   x_k the share of pixels removed after k of `steps` steps,

    with the image itself at k = 0 and the whole substrate at the end, in [0, 1], not divided by the image's
    own probability. Order, ties and settings are those of `Insertion`; the substrate is black. RISE's code
    puts zeros into the normalised image, the mean colour of ImageNet: the substrate "zero".

    Pixel flipping (Bach et al. 2015; Samek et al. 2017) is the same game; Quantus' differs in the ends of the
    curve, its scale, and its "black", the lowest number of the image at hand: see the preset "quantus".
    """

    better: ClassVar[Literal["higher", "lower"]] = "lower"
    removes: ClassVar[bool] = True

    substrate: Substrate | tuple[Substrate, ...] = "black"
