"""SmoothGrad: the mean gradient around the image, and its two relatives.

Smilkov, Thorat, Kim, Viegas, Wattenberg: "SmoothGrad: removing noise by adding noise", arXiv 1706.03825,
2017. Squared: Hooker, Erhan, Kindermans, Kim: "A Benchmark for Interpretability Methods in Deep Neural
Networks", NeurIPS 2019. VarGrad: Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: "Sanity Checks for
Saliency Maps", NeurIPS 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fluxpath.checks import one_of, plain, positive, whole
from fluxpath.errors import InputError
from fluxpath.methods import length
from fluxpath.runtime.lanes import Collector, Lanes, Slots
from fluxpath.runtime.lanes.gathering import Total, Variance
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.points.weights import GRADIENT, SQUARED


@dataclass(frozen=True)
class SmoothGrad(Method):
    """Settings of SmoothGrad. With g_k = grad f(x + sigma * width * z_k), z_k ~ N(0, 1) in each element:

        "mean":      1/n sum_k g_k
        "squared":   1/n sum_k g_k^2
        "variance":  1/n sum_k (g_k - mean)^2   (VarGrad)

    n: the number of samples, 1 or more. sigma: standard deviation of the noise, above 0, in units of width,
    the model's range (high - low; 1, so of the input, if the model has no range). variant: as above.
    seed: of the counter-based generator (Philox); the noise depends only on seed, sample and element.
    clip: whether to clip the noisy images to the model's range; the paper does not.

    Takes n gradients, and one at the image for label and score. In units of the objective per unit of the
    input, squared for "squared" and "variance". Raises InputError for invalid settings.
    """

    n: int = 50
    sigma: float = 0.15
    variant: Literal["mean", "squared", "variance"] = "mean"
    seed: int = 0
    clip: bool = False

    def __post_init__(self) -> None:
        plain(self)
        whole("n", self.n, 1)
        positive("sigma", self.sigma)
        one_of("variant", self.variant, ("mean", "squared", "variance"))
        whole("seed", self.seed, 0, 2**64 - 1)
        if not isinstance(self.clip, bool):
            raise InputError(f"clip is {self.clip!r}, it must be True or False")

    @property
    def lanes(self) -> int:
        """One lane per sample."""
        return self.n

    @property
    def starts_at_image(self) -> bool:
        """False: the image itself is not a sample."""
        return False

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """Put each lane at its noisy image."""
        lanes.kernel.start_noise(
            slots,
            numbers,
            deviation=length("sigma", self.sigma, lanes.width),
            low=lanes.low if self.clip else -np.inf,
            high=lanes.high if self.clip else np.inf,
            seed=self.seed,
        )

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Add each sample's gradient, or its square, with its weight."""
        weight = 1.0 if self.variant == "variance" else 1.0 / self.n
        weights = np.full(len(slots), weight, np.float32)
        lanes.kernel.advance_weighted(slots, weights, SQUARED if self.variant == "squared" else GRADIENT)

    def collector(self, features: int) -> Collector:
        """The running variance for "variance", otherwise the sum."""
        return Variance(features) if self.variant == "variance" else Total(features)
