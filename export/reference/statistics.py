"""Means, norms and what is normalised by them.

onnx.reference has GroupNormalization in float32, Mean only of inputs that fit into the first one, LRN for as
many channels as the batch is long, LpPool wrong beside padding, LpNormalization with p = 1 without absolute
values, MeanVarianceNormalization with float32 constants, and no GlobalLpPool.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

from fluxpath.export.reference.windows import Geometry


class Mean(OpRun):
    """The mean of several tensors that broadcast."""

    def _run(self, *inputs: Any) -> Any:
        return (sum(inputs[1:], inputs[0]) / len(inputs),)


class GroupNormalization(OpRun):
    """With a scale and a bias for each channel."""

    def _run(self, x: Any, scale: Any, bias: Any, **attributes: Any) -> Any:
        groups, epsilon = attributes["num_groups"], attributes.get("epsilon") or 1e-5
        rows = x.reshape(x.shape[0], groups, -1)
        rows = rows - rows.mean(axis=2, keepdims=True)
        rows = rows / np.sqrt((rows * rows).mean(axis=2, keepdims=True) + epsilon)
        wide = (-1, *[1] * (x.ndim - 2))
        return (rows.reshape(x.shape) * scale.reshape(wide) + bias.reshape(wide),)


class LRN(OpRun):
    """Local response normalisation over the channels."""

    def _run(self, x: Any, **attributes: Any) -> Any:
        alpha, beta = attributes.get("alpha") or 1e-4, attributes.get("beta") or 0.75
        bias, size = attributes.get("bias") or 1.0, attributes["size"]
        below, above = math.floor((size - 1) / 2), math.ceil((size - 1) / 2)
        total = np.empty_like(x)
        for c in range(x.shape[1]):
            total[:, c] = (x[:, max(0, c - below) : c + above + 1] ** 2).sum(axis=1)
        return (x / (bias + alpha / size * total) ** beta,)


class LpPool(OpRun):
    """The p-norm of every window; padding adds nothing."""

    def _run(self, x: Any, **attributes: Any) -> Any:
        p = attributes.get("p") or 2
        geometry = Geometry(x.shape[2:], attributes["kernel_shape"], attributes)
        powers = geometry.windows(np.abs(x) ** p, 0.0)
        return (powers.sum(axis=tuple(range(x.ndim, 2 * x.ndim - 2))) ** (1 / p),)


class GlobalLpPool(OpRun):
    """The p-norm of every channel."""

    def _run(self, x: Any, p: int = 2) -> Any:
        return ((np.abs(x) ** p).sum(axis=tuple(range(2, x.ndim)), keepdims=True) ** (1 / p),)


class LpNormalization(OpRun):
    """Division by the 1- or 2-norm along an axis; zero where that is zero."""

    def _run(self, x: Any, axis: int = -1, p: int = 2) -> Any:
        norm = (np.abs(x) ** p).sum(axis=axis, keepdims=True) ** (1 / p)
        return (np.where(norm == 0, 0, x / np.where(norm == 0, 1, norm)),)


class MeanVarianceNormalization(OpRun):
    """Zero mean and unit deviation."""

    def _run(self, x: Any, axes: Any = (0, 2, 3)) -> Any:
        d = x - x.mean(axis=tuple(axes), keepdims=True)
        return (d / (np.sqrt((d * d).mean(axis=tuple(axes), keepdims=True)) + 1e-9),)


OPERATORS = (
    Mean,
    GroupNormalization,
    LRN,
    LpPool,
    GlobalLpPool,
    LpNormalization,
    MeanVarianceNormalization,
)
