"""Arrays of a few lanes for the compiled kernels, without the engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from fluxpath import kernels
from fluxpath.runtime import Status

ROWS = ("image", "point", "pending", "sum", "gradient")
FLOATS = ("scale", "score", "length", "pending_length", "reach")
CLASSES, COUNTS = ("label", "target"), ("step", "status")


class Slots:
    """One array per field of `kernels.Lanes`, full of noise, so that a write in the wrong place shows."""

    def __init__(self, count: int, features: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.arrays: dict[str, np.ndarray] = {
            **{name: rng.standard_normal((count, features)).astype(np.float32) for name in ROWS},
            **{name: rng.standard_normal(count).astype(np.float32) for name in FLOATS},
            **{name: rng.integers(0, 5, count) for name in CLASSES},
            **{name: rng.integers(1, 5, count).astype(np.int32) for name in COUNTS},
        }
        self.kernel = kernels.Lanes(**self.arrays)

    def __getattr__(self, name: str) -> Any:
        return self.__dict__["arrays"][name]

    def begin(self, slot: int, image: np.ndarray, target: int = 0) -> None:
        """A fresh lane for `image` in `slot`, as the engine prepares it."""
        self.image[slot] = self.point[slot] = image
        self.target[slot] = target
        for name in ("pending", "sum", "length", "pending_length", "reach", "step", "status"):
            self.arrays[name][slot] = 0

    def model(
        self, slot: int, gradient: np.ndarray, label: int = 0, scale: float = 1.0, score: float = 0.0
    ) -> None:
        """What the gradient graph would write."""
        self.gradient[slot], self.label[slot] = gradient, label
        self.scale[slot], self.score[slot] = scale, score

    def copy(self) -> dict[str, np.ndarray]:
        """The state of everything."""
        return {name: array.copy() for name, array in self.arrays.items()}

    def running(self, slot: int) -> bool:
        """Whether the lane in `slot` goes on."""
        return bool(self.status[slot] == Status.RUNNING)


def at(*slots: int) -> np.ndarray:
    """Slot numbers as the kernels take them."""
    return np.array(slots, np.int32)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal to the last bit: NaN equals NaN, and 0 is not -0."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
