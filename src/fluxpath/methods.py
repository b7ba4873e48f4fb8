"""The methods' names, settings and defaults, which `fluxpath.runtime` and `fluxpath.export` share.

The classes of the runtime's methods, and of whole methods in a file, derive from the settings here. Settings
that are lengths (a step, a radius, the deviation of noise) are in units of the model's range: see `width_of`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar, Literal

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


@dataclass(frozen=True)
class MFABASettings:
    """See `fluxpath.runtime.MFABA`."""

    ascent: Literal["sharp", "smooth"] = "sharp"
    rule: Literal["trapezoid", "left"] = "trapezoid"
    path: Literal["taylor", "norm", "cosine"] = "taylor"
    max_steps: int = 50
    step_size: float | None = None
    accumulate: bool = False

    PATHS: ClassVar[tuple[str, ...]] = ("taylor", "norm", "cosine")
    SMOOTH_RADIUS: ClassVar[float] = 0.3
    """How far the smooth walk can move an element from the image, as in the published code; a length."""

    def __post_init__(self) -> None:
        plain(self)
        one_of("ascent", self.ascent, ("sharp", "smooth"))
        one_of("rule", self.rule, ("trapezoid", "left"))
        one_of("path", self.path, self.PATHS)
        whole("max_steps", self.max_steps, 1)
        if self.step_size is not None:
            positive("step_size", self.step_size)
        need(
            isinstance(self.accumulate, bool), f"accumulate is {self.accumulate!r}, it must be True or False"
        )

    @property
    def effective_step_size(self) -> float:
        """The step size, a length; if none is given, the published code's."""
        default = 0.1 if self.ascent == "sharp" else 0.001
        return default if self.step_size is None else self.step_size


@dataclass(frozen=True)
class NeFLAGSettings:
    """See `fluxpath.runtime.NeFLAG`."""

    n: int = 20
    radius: float = 0.1
    max_steps: int = 20
    stop: Literal["flux", "label"] = "flux"
    seed: int = 0

    def __post_init__(self) -> None:
        plain(self)
        whole("n", self.n, 1)
        positive("radius", self.radius)
        whole("max_steps", self.max_steps, 1)
        one_of("stop", self.stop, ("flux", "label"))
        whole("seed", self.seed, 0, 2**64 - 1)


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
