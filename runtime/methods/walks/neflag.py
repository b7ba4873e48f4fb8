"""NeFLAG: attribution by the negative flux of the gradient through a small sphere.

Li, Pan, Li, Qiang, Zhu: "Negative Flux Aggregation to Estimate Feature Attributions", IJCAI 2023.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from fluxpath import kernels
from fluxpath.methods import NeFLAGSettings
from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.methods.base import Method


class NeFLAG(NeFLAGSettings, Method):
    """Settings of NeFLAG (Algorithm 1). Around the image x, `n` times:

        x~ = x + radius * u, u uniform on the unit sphere;  then, until the stop,
        x~ = x - radius * sign(F(x~)),   F = grad f;  at the end  attribution += F(x~) * (x - x~)

    n: the number of flux samples, 1 or more (NeFLAG-1, -10 and -20 in the paper). One is enough with the
        radius "auto", within which the gradient hardly turns: all samples end at about the same point. With
        a larger radius of your own each adds something, and 20 are usual.
    radius: epsilon; "auto", half of the distance that the boundary would have from the image along the
        gradient's sign if the network were linear, d / ||grad d||_1, as for `MFABA`, by the one evaluation at
        the image that is made anyway: a sign step then changes d by about half.
        Or a number, in units of the model's range (high - low; of the input if the model has no range):
        the paper's is 0.1, and `NeFLAG.paper()` has its settings.
    max_steps: m, the most sign steps of a sample.
    stop: "flux", when the flux F(x~) . (x~ - x) is negative, or "label", when the predicted class is no
        longer the target. The paper does not define the stop; "flux" is the default because it gave the
        better insertion minus deletion score on 200 CIFAR-10 images and ResNet-20 with n = 20: 0.042 against
        0.034 at radius 0.05 and 0.012 against 0.003 at 0.1 (both about zero at 0.2), with 2.5 steps per
        sample against 1.3 at 0.1 (benchmarks/neflag_stop.py).
    seed: of the counter-based generator (Philox); the noise depends only on seed, sample and element, so
        an image has the same attribution in any batch.

    A sample takes at least one sign step and stays in the input's valid range. Raises InputError for
    invalid settings.
    """

    @property
    def lanes(self) -> int:
        """One lane per flux sample."""
        return self.n

    @property
    def starts_at_image(self) -> bool:
        """False: a sample starts on the sphere."""
        return False

    @property
    def shortest(self) -> int:
        """Two: the point on the sphere and one sign step."""
        return 2

    @property
    def reach(self) -> Literal["whole", "signs"] | None:
        """With the radius "auto", as far as sign steps go."""
        return "signs" if self.relative else None

    @property
    def usual(self) -> float | None:
        """With the radius "auto": one at the image, and two for each sample."""
        return 1.0 + 2.0 * self.n if self.relative else None

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """Put each sample at a random point on the sphere."""
        lanes.kernel.start_neflag(
            slots, numbers, _settings(self, lanes.low, lanes.high, lanes.width), self.seed
        )

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Take one sign step of each sample, or end it with its flux."""
        lanes.kernel.advance_neflag(slots, _settings(self, lanes.low, lanes.high, lanes.width))


@lru_cache(maxsize=256)
def _settings(method: NeFLAG, low: float, high: float, width: float) -> kernels.Neflag:
    return kernels.Neflag(
        stop_at_flux=method.stop == "flux",
        max_steps=method.max_steps,
        radius=method.radius_length(width),
        low=low,
        high=high,
        relative=method.relative,
    )
