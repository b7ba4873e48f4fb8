"""Symmetric relevance gain: what the right order is better than the opposite one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from fluxpath.runtime.metrics.removal.insertion_minus_deletion import InsertionMinusDeletion
from fluxpath.runtime.metrics.substrates import Substrate


@dataclass(frozen=True)
class SymmetricRelevanceGain(InsertionMinusDeletion):
    """SRG: Bluecher, Vielhaben, Strodthoff: "Decoupling Pixel Flipping and Occlusion Strategy for Consistent
    XAI Benchmarks", TMLR 2024.

    The area under the curve where the least relevant pixels are removed first, minus that where the most
    relevant are (pixel flipping, `Deletion`). The images of the first game are those of `Insertion`, from the
    end on: so this is insertion minus deletion on one substrate, by default the image's mean colour, and with
    the same substrate both metrics have the same value, by the same evaluations. The gain over a random
    order, in the paper's definition of each half, cancels. Probabilities are not divided by the image's own.
    Ties: the order of the first game is exactly that of the second, backwards. Settings: see `Game`.
    """

    better: ClassVar[Literal["higher", "lower"]] = "higher"

    substrate: Substrate | tuple[Substrate, ...] = "mean"
