"""A model in plain numpy for the engine: softmax of a linear map, one row at a time, and a log."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from cuda_on_cpu import HostDevice
from twins import Array, Gradient

from fluxpath.manifest import Manifest
from fluxpath.runtime import MFABA, Attribution, GradientSession, NeFLAG
from fluxpath.runtime.backends.on_device import DeviceSession
from fluxpath.runtime.lanes import Lanes

FEATURES, CLASSES = 6, 3

METHODS = [
    MFABA(),
    MFABA(ascent="smooth", path="norm", step_size=0.02),
    MFABA(path="cosine"),
    NeFLAG(n=3, max_steps=4),
]
"""With fused kernels, all of them."""


class LinearSession(GradientSession):
    """Logs the number of slots of each run and the points in them; `before_run` may block or raise.

    Each row is computed by itself, so whatever differs between two batches is not the session's doing.
    """

    def __init__(self, features: int = FEATURES, seed: int = 0) -> None:
        self.manifest = Manifest(
            input="image",
            shape=(features,),
            classes=CLASSES,
            objective="softmax",
            opset=20,
            source="none",
            logits="logits",
        )
        self.weight = 4 * np.random.default_rng(seed).standard_normal((CLASSES, features))
        self.counts: list[int] = []
        self.points: list[np.ndarray] = []
        self.before_run: Callable[[], None] = lambda: None

    output = CLASSES

    def bind(self, lanes: Lanes) -> None:
        self.lanes = lanes
        lanes.scale[:] = 1.0

    def run(self, count: int) -> None:
        self.before_run()
        lanes = self.lanes
        self.counts.append(count)
        self.points += [point.copy() for point in lanes.point[:count]]
        for slot in range(count):
            target = int(lanes.target[slot])
            answer = self.evaluate(lanes.point[slot].astype(np.float64), target)
            lanes.score[slot], lanes.label[slot], lanes.gradient[slot] = answer
            if lanes.output is not None:
                lanes.output[slot] = self.weight @ (lanes.point[slot].astype(np.float64) - 0.5)

    def evaluate(self, point: Array, target: int = -1) -> tuple[float, int, Array]:
        """Probability of the target (negative: of the predicted class), predicted class, gradient."""
        logits = self.weight @ (point - 0.5)
        label = int(logits.argmax())
        powers = np.exp(logits - logits.max())
        p = powers / powers.sum()
        t = label if target < 0 else target
        return float(p[t]), label, p[t] * (self.weight[t] - p @ self.weight)

    def gradient(self, image: Array, target: int | None = None) -> Gradient:
        """The model as the twins take it, for one target all along a walk."""
        chosen = self.evaluate(image)[1] if target is None else target
        return lambda point: self.evaluate(point, chosen)


class DeviceLinear(DeviceSession, LinearSession):
    """The linear model, whose lanes live on a device."""

    def __init__(self, reversed: bool = False) -> None:
        super().__init__()
        self.device = HostDevice(reversed)


def some_images(n: int, features: int = FEATURES, seed: int = 1) -> np.ndarray:
    """n images in [0, 1]."""
    return np.random.default_rng(seed).random((n, features)).astype(np.float32)


def compare(given: Attribution, expected: Attribution) -> None:
    """Assert that two attributions tell the same, up to rounding."""
    for name in ("target", "label", "steps", "status"):
        np.testing.assert_array_equal(getattr(given, name), getattr(expected, name), err_msg=name)
    np.testing.assert_allclose(given.score, expected.score, rtol=1e-5)
    np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)
