"""Max-sensitivity: how far an explanation changes, at worst, where the image hardly does."""

from __future__ import annotations

from dataclasses import dataclass

from fluxpath.runtime.metrics.base import Case, Found, Measured
from fluxpath.runtime.metrics.robustness.sensitivity import OfSensitivity


@dataclass(frozen=True)
class MaxSensitivity(OfSensitivity):
    """Max-sensitivity: Yeh et al.: "On the (In)fidelity and Sensitivity of Explanations", NeurIPS 2019,
    Definition 4.1, relative to the explanation, as the authors' code, Captum and Quantus have it.

        max over neighbours y of ||a(y) - a(x)||_2 / ||a(x)||_2

    a is the attribution by the case's own method with its settings and seed, of the class that is explained
    at x, all channels apart. The neighbours: each element plus uniform noise in [-radius, radius], in units
    of the range's width, clipped to the range (Captum's default_perturb_func, which does not clip); `samples`
    of them, from the case's seed: the maximum grows with their number. NaN where a(x) is zero; Captum divides
    by 1 there. Quantus draws 200 neighbours within 0.2, and can leave out those of which another class is
    predicted: see the preset "quantus". Costs `samples` explanations. Curves: "change" at each neighbour.
    """

    def measure(self, case: Case, found: Found) -> Measured:
        """The largest change."""
        change = found.parts[0].curves["change"]
        return Measured(float(change.max()), {"change": change})
