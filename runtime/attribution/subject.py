"""What was explained, and in which words and colours a person knows it."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.runtime.methods.base import Method


@dataclass(frozen=True, eq=False)
class Subject:
    """What an `Attribution` explains.

    images: float32 [n, *shape], as the model took them. Where `Explainer.attribute` was given such an array,
    it is that array and no copy: write something else into it, and the attribution shows that.
    """

    images: npt.NDArray[np.float32]
    method: Method
    manifest: Manifest

    def __getitem__(self, index: Any) -> Subject:
        return Subject(self.images[index], self.method, self.manifest)

    def run(self) -> dict[str, str | None]:
        """What results that belong together share: model and method."""
        return {"model": model_of(self.manifest), "method": repr(self.method)}


def model_of(manifest: Manifest) -> str:
    """The model's name with a checksum of its manifest, which tells it from others of that name."""
    return f"{manifest.source} {zlib.crc32(repr(manifest).encode()):08x}"


def class_name(manifest: Manifest | None, label: int) -> str:
    """The class's name, or its number as text."""
    names = None if manifest is None else manifest.class_names
    return names[label] if names is not None and 0 <= label < len(names) else str(label)


def probability(manifest: Manifest | None, score: float) -> float:
    """The probability of the explained class, from its score; NaN where the objective does not give it."""
    if manifest is None:
        return math.nan
    if manifest.objective == "log_softmax":
        return math.exp(min(score, 0.0))
    return score if manifest.objective in ("softmax", "sigmoid") else math.nan


def measure(manifest: Manifest | None, score: float) -> str:
    """A score in words: the probability as in "83.1%", else as in "logit 4.2"."""
    chance = probability(manifest, score)
    if math.isfinite(chance):
        return f"{chance:.1%}"
    return f"{'score' if manifest is None else manifest.objective} {score:.4g}"


def are_pictures(shape: tuple[int, ...]) -> bool:
    """Whether inputs of this shape, without the batch, can be shown: [h, w], [1, h, w] or [3, h, w]."""
    return (len(shape) == 2 or (len(shape) == 3 and shape[0] in (1, 3))) and all(shape)


def need_pictures(shape: tuple[int, ...], instead: str) -> None:
    """Raise InputError, which says what to do instead, unless `are_pictures`."""
    if not are_pictures(shape):
        raise InputError(
            f"the model takes inputs of shape {list(shape)}, and pictures need [1 or 3, h, w] or [h, w]: "
            + instead
        )


def unit(image: npt.NDArray[np.float32], low: float | None, high: float | None) -> npt.NDArray[np.float32]:
    """The image scaled to [0, 1] by the model's range, or by its own extent, at least [0, 1]."""
    if low is None or high is None:
        low, high = min(0.0, float(image.min())), max(1.0, float(image.max()))
    return (image - np.float32(low)) / np.float32(high - low)
