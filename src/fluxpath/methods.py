"""The methods' names, settings and defaults, which `fluxpath.runtime` and `fluxpath.export` share.

The classes of the runtime's methods, and of whole methods in a file, derive from the settings here. Settings
that are lengths (a step, a radius, the deviation of noise) are in units of the model's range: see `width_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, Literal, Self

import numpy.typing as npt

from fluxpath.arrays import FixedArray, number_or_array
from fluxpath.checks import need, one_of, plain, positive, whole

NAMES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "mfaba-sharp": ("MFABA", {"ascent": "sharp"}),
    "mfaba-smooth": ("MFABA", {"ascent": "smooth"}),
    "neflag": ("NeFLAG", {}),
    "saliency": ("Saliency", {}),
    "input-x-gradient": ("InputXGradient", {}),
    "integrated-gradients": ("IntegratedGradients", {}),
    "smoothgrad": ("SmoothGrad", {}),
    "expected-gradients": ("ExpectedGradients", {}),
    "lpi": ("LPI", {}),
    "deeplift": ("DeepLIFT", {}),
    "agi": ("AGI", {}),
    "big": ("BIG", {}),
    "guided-ig": ("GuidedIG", {}),
}
"""For each method's name on the command line: its class, and the settings that the name implies."""


def width_of(low: float | None, high: float | None) -> float:
    """The unit of every setting that is a length: high - low, the width of the valid range.

    1.0 where an end is open (None or infinite), as it is for images in [0, 1].
    """
    width = 1.0 if low is None or high is None else high - low
    return width if isfinite(width) else 1.0


def length(name: str, setting: float, width: float) -> float:
    """The length in units of the input that a setting is; InputError, by its name, if float32 has none."""
    made = setting * width
    if made != setting:
        positive(f"{name} times the width of the input's range ({width:g})", made)
    return made


PROBABILITY, LOG_PROBABILITY, ITSELF = 0, 1, 2


def kind_of(objective: str) -> int:
    """What an objective's score is of the log-odds that are zero on the boundary; see fluxpath/reach.h."""
    kinds = {"softmax": PROBABILITY, "sigmoid": PROBABILITY, "log_softmax": LOG_PROBABILITY}
    return kinds.get(objective, ITSELF)


def automatic(name: str, setting: object) -> None:
    """Raise InputError unless `setting` is "auto" or a length."""
    if isinstance(setting, str):
        need(setting == "auto", f"{name} is {setting!r}, it must be 'auto' or a number above zero")
    else:
        positive(name, setting)


@dataclass(frozen=True)
class MFABASettings:
    """See `fluxpath.runtime.MFABA`."""

    ascent: Literal["sharp", "smooth"] = "sharp"
    rule: Literal["trapezoid", "left"] = "trapezoid"
    path: Literal["taylor", "norm", "cosine"] = "taylor"
    max_steps: int = 50
    step_size: float | Literal["auto"] | None = "auto"
    accumulate: bool = False

    PATHS: ClassVar[tuple[str, ...]] = ("taylor", "norm", "cosine")
    SMOOTH_RADIUS: ClassVar[float] = 0.3
    """How far the smooth walk can move an element from the image, as in the published code; a length."""
    SHARE: ClassVar[float] = 1 / 4
    """With the step size "auto": the step as a share of the distance to the boundary."""
    STEADY: ClassVar[int] = 4
    """With "auto": after so many steps, each is longer than the one before, by `GROWTH` of the first."""
    GROWTH: ClassVar[float] = 1 / 4

    def __post_init__(self) -> None:
        plain(self)
        one_of("ascent", self.ascent, ("sharp", "smooth"))
        one_of("rule", self.rule, ("trapezoid", "left"))
        one_of("path", self.path, self.PATHS)
        whole("max_steps", self.max_steps, 1)
        if self.step_size is not None:
            automatic("step_size", self.step_size)
        need(
            isinstance(self.accumulate, bool), f"accumulate is {self.accumulate!r}, it must be True or False"
        )

    @classmethod
    def published(cls, ascent: Literal["sharp", "smooth"] = "sharp") -> Self:
        """The published code's settings: steps of 0.1 (sharp) or 0.001 (smooth), 50 at most, and "left".

        `dataclasses.replace(MFABA.published(), rule="trapezoid")` sums the same walk by the paper's Eq. 11.
        """
        one_of("ascent", ascent, ("sharp", "smooth"))
        return cls(ascent=ascent, rule="left", step_size=0.1 if ascent == "sharp" else 0.001)

    @property
    def relative(self) -> bool:
        """Whether the step is in units of the distance to the boundary."""
        return self.step_size == "auto"

    def step_length(self, width: float) -> float:
        """The step in units of the input; with "auto", as a share of the distance to the boundary."""
        if isinstance(self.step_size, str):
            return self.SHARE
        default = 0.1 if self.ascent == "sharp" else 0.001
        return length("step_size", default if self.step_size is None else self.step_size, width)


@dataclass(frozen=True)
class NeFLAGSettings:
    """See `fluxpath.runtime.NeFLAG`."""

    n: int = 1
    radius: float | Literal["auto"] = "auto"
    max_steps: int = 20
    stop: Literal["flux", "label"] = "flux"
    seed: int = 0

    SHARE: ClassVar[float] = 1 / 2
    """With the radius "auto": the radius as a share of the distance to the boundary."""

    def __post_init__(self) -> None:
        plain(self)
        whole("n", self.n, 1)
        automatic("radius", self.radius)
        whole("max_steps", self.max_steps, 1)
        one_of("stop", self.stop, ("flux", "label"))
        whole("seed", self.seed, 0, 2**64 - 1)

    @classmethod
    def paper(cls) -> Self:
        """The settings of the paper's experiments: 20 samples, a radius of 0.1, at most 20 steps each."""
        return cls(n=20, radius=0.1, max_steps=20)

    @property
    def relative(self) -> bool:
        """Whether the radius is in units of the distance to the boundary."""
        return self.radius == "auto"

    def radius_length(self, width: float) -> float:
        """The radius in units of the input; with "auto", as a share of the distance to the boundary."""
        return self.SHARE if isinstance(self.radius, str) else length("radius", self.radius, width)


@dataclass(frozen=True)
class IntegratedGradientsSettings:
    """See `fluxpath.runtime.IntegratedGradients`."""

    steps: int = 50
    rule: Literal["trapezoid", "left", "right", "middle", "gauss-legendre"] = "trapezoid"
    baseline: float | npt.ArrayLike | FixedArray = 0.0

    RULES: ClassVar[tuple[str, ...]] = ("trapezoid", "left", "right", "middle", "gauss-legendre")

    def __post_init__(self) -> None:
        plain(self)
        one_of("rule", self.rule, self.RULES)
        whole("steps", self.steps, 1, 1000 if self.rule == "gauss-legendre" else 1_000_000)
        object.__setattr__(self, "baseline", number_or_array("baseline", self.baseline))
