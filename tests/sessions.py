"""A model in plain numpy for the engine: softmax of a linear map, one row at a time, and a log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cuda_on_cpu import HostDevice
from twins import Array, Gradient

from fluxpath.manifest import Manifest
from fluxpath.runtime import Attribution, Explainer, GradientSession, Method
from fluxpath.runtime.backends.on_device import DeviceSession
from fluxpath.runtime.lanes import Lanes

FEATURES, CLASSES = 6, 3


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


class Predicting(LinearSession):
    """The linear model, which can predict without a gradient."""

    def forward(self) -> Callable[..., Any]:
        return lambda inputs: ((inputs["image"] - 0.5) @ self.weight.T).astype(np.float32)


class DeviceLinear(DeviceSession, LinearSession):
    """The linear model, whose lanes live on a device."""

    def __init__(self, reversed: bool = False) -> None:
        super().__init__()
        self.device = HostDevice(reversed)


def some_images(n: int, features: int = FEATURES, seed: int = 1) -> np.ndarray:
    """n images in [0, 1]."""
    return np.random.default_rng(seed).random((n, features)).astype(np.float32)


class CurvedSession(LinearSession):
    """Softmax of a linear map of tanh of a linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = 2 * np.random.default_rng(5).standard_normal((FEATURES, FEATURES))

    def evaluate(self, point: Array, target: int = -1) -> tuple[float, int, Array]:
        h = np.tanh(self.hidden @ (point - 0.5))
        score, label, inner = super().evaluate(h + 0.5, target)
        return score, label, (inner * (1 - h**2)) @ self.hidden


class BrokenSession(LinearSession):
    """The gradient is `value` at every point whose first element is above `above`."""

    def __init__(self, value: float, above: float = -1.0) -> None:
        super().__init__()
        self.value, self.above = value, above

    def evaluate(self, point: Array, target: int = -1) -> tuple[float, int, Array]:
        score, label, gradient = super().evaluate(point, target)
        return score, label, np.full_like(gradient, self.value) if point[0] > self.above else gradient


def explain(
    session: GradientSession, images: np.ndarray, method: Method, slots: int = 1, target: Any = None
) -> Attribution:
    """Attributions by an explainer of its own."""
    with Explainer.from_session(session, slots=slots) as explainer:
        return explainer.attribute(images, target, method)
