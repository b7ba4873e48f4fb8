"""Infidelity: does the attribution predict what a perturbation does to the explained function?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need, number, one_of, plain, positive, whole
from fluxpath.runtime.metrics.base import Case, Found, Image, Measured, Metric
from fluxpath.runtime.metrics.layout import Layout, width, within
from fluxpath.runtime.metrics.noise import generator
from fluxpath.runtime.metrics.objective import explained
from fluxpath.runtime.metrics.substrates import filled

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Infidelity(Metric):
    """Infidelity: Yeh, Hsieh, Suggala, Inouye, Ravikumar: "On the (In)fidelity and Sensitivity of
    Explanations", NeurIPS 2019, Definition 2.1.

        mean over perturbations I of (I . a - (f(x) - f(x - I)))^2

    f is the objective. a is the attribution as it is, per unit of the input, as a gradient or saliency is:
    for a method whose attributions are shares of the score (MFABA, Integrated Gradients: already multiplied
    by a distance) pass per_unit=False, and a is divided by the image's distance from the black it is removed
    to, where that is not 0; so both kinds can be compared.

    perturbation: "noise", I = sigma * width * z with z normal, the paper's noisy baseline around the image;
    or
        "square", I = x - black in a random square whose edge is the share `side` of the shorter one.
    samples: perturbations, drawn from the case's seed. The perturbed input is clipped to the model's range,
        and I is what was really subtracted.
    normalise: multiply a with the factor that fits best, sum(I.a d) / sum((I.a)^2), as in the authors' code
        and Captum's normalize=True; the value then does not depend on the attribution's unit.

    Equal to Captum's `infidelity` for the same perturbations. Quantus' Infidelity blackens patch after patch
    and never restores one, so its later perturbations are whole regions; it is the mean over those.
    """

    better: ClassVar[Literal["higher", "lower"]] = "lower"

    samples: int = 50
    perturbation: Literal["noise", "square"] = "noise"
    sigma: float = 0.1
    side: float = 0.25
    normalise: bool = True
    per_unit: bool = True

    def __post_init__(self) -> None:
        plain(self)
        whole("samples", self.samples, 1)
        one_of("perturbation", self.perturbation, ("noise", "square"))
        positive("sigma", self.sigma)
        number("side", self.side, 0.0, 1.0)
        for name in ("normalise", "per_unit"):
            given = getattr(self, name)
            need(isinstance(given, bool), f"{name} is {given!r}, it must be True or False")

    def probes(self, case: Case) -> Iterator[Image]:
        """The image and its perturbations."""
        yield case.image
        yield from self._perturbed(case)

    def measure(self, case: Case, found: Found) -> Measured:
        """The mean square."""
        score = explained(case, found)
        values = case.values.astype(np.float64)
        if not self.per_unit:
            distance = case.image.astype(np.float64) - filled(case, "black")
            values = np.divide(values, distance, out=np.zeros_like(values), where=distance != 0)
        said = np.array(
            [np.sum((case.image.astype(np.float64) - moved) * values) for moved in self._perturbed(case)]
        )
        return Measured(mean_square(said, score[0] - score[1:], self.normalise))

    def _perturbed(self, case: Case) -> Iterator[Image]:
        for sample in range(self.samples):
            random = generator(case, "infidelity", sample)
            if self.perturbation == "noise":
                noise = self.sigma * width(case) * random.standard_normal(case.image.shape)
                yield within(case, case.image - noise)
            else:
                yield self._without_square(case, random)

    def _without_square(self, case: Case, random: np.random.Generator) -> Image:
        height, across = Layout(case.image.shape).need_plane("perturbation 'square'", "'noise'")
        edge = max(1, round(self.side * min(height, across)))
        top, left = random.integers(height - edge + 1), random.integers(across - edge + 1)
        image = case.image.copy()
        square = (..., slice(top, top + edge), slice(left, left + edge))
        image[square] = filled(case, "black")[square]
        return image


def mean_square(said: Vector, drops: Vector, normalise: bool) -> float:
    """The mean of (said - drops)^2, with `said` scaled to fit best if `normalise`."""
    if normalise:
        size = float(said @ said)
        said = said * (float(said @ drops) / size if size > 0 else 0.0)
    return float(np.mean((said - drops) ** 2))
