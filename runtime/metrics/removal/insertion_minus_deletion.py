"""Insertion minus deletion, in which most of the substrate's strangeness cancels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from fluxpath.runtime.metrics.base import Case, Found, Image, Measured, Metric
from fluxpath.runtime.metrics.removal.deletion import Deletion
from fluxpath.runtime.metrics.removal.game import Game
from fluxpath.runtime.metrics.removal.insertion import Insertion
from fluxpath.runtime.metrics.substrates import Substrate


@dataclass(frozen=True)
class InsertionMinusDeletion(Game):
    """The difference between the insertion and the deletion score, as in Shah, Jain, Netrapalli: "Do Input
    Gradients Highlight Discriminative Features?", NeurIPS 2021, and in NeFLAG's Figure 4.

    Both games are played on the same substrates, by default black and blur, of which the mean is taken
    (NeFLAG, appendix A.2). The value is in [-1, 1]; at random order it is about 0. A picture without a pixel
    and the whole image belong to both games and are evaluated once. Settings: see `Game`.

    Curves: "fraction", "insertion" and "deletion".
    """

    better: ClassVar[Literal["higher", "lower"]] = "higher"

    substrate: Substrate | tuple[Substrate, ...] = ("black", "blur")

    @property
    def parts(self) -> tuple[Metric, ...]:
        """The insertion and the deletion."""
        settings = (self.substrate, self.steps, self.ranking, self.absolute)
        return Insertion(*settings), Deletion(*settings)

    def probes(self, case: Case) -> Iterator[Image]:
        """None of its own."""
        return iter(())

    def measure(self, case: Case, found: Found) -> Measured:
        """The difference of the two values."""
        insertion, deletion = found.parts
        return Measured(
            insertion.value - deletion.value,
            {
                "fraction": insertion.curves["fraction"],
                "insertion": insertion.curves["probability"],
                "deletion": deletion.curves["probability"],
            },
        )
