"""Windows over images: convolutions, poolings and padding.

onnx.reference is wrong for groups in ConvTranspose, for ceil_mode and for dilated pooling, and refuses
negative pads.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun


class Geometry:
    """Window positions along each spatial axis: `taps[axis]` is [out, kernel], counted from the input."""

    def __init__(self, sizes: tuple[int, ...], kernel: Any, attributes: dict[str, Any]) -> None:
        n = len(sizes)
        self.kernel = [int(k) for k in kernel]
        self.strides = list(attributes.get("strides") or [1] * n)
        self.dilations = list(attributes.get("dilations") or [1] * n)
        pads = list(attributes.get("pads") or [0] * 2 * n)
        auto = attributes.get("auto_pad") or "NOTSET"
        ceil = bool(attributes.get("ceil_mode"))
        self.before, self.after, self.taps = [], [], []
        for i, size in enumerate(sizes):
            stride, reach = self.strides[i], (self.kernel[i] - 1) * self.dilations[i]
            before, after = pads[i], pads[n + i]
            if auto == "VALID":
                before = after = 0
            if auto.startswith("SAME"):
                total = max(0, (math.ceil(size / stride) - 1) * stride + reach + 1 - size)
                before, after = total // 2, total - total // 2
                if auto == "SAME_LOWER":
                    before, after = after, before
            steps = (size + before + after - reach - 1) / stride
            out = (math.ceil(steps) if ceil else math.floor(steps)) + 1
            if ceil and (out - 1) * stride >= size + before:
                out -= 1  # the last window must begin inside the image
            self.before.append(before)
            self.after.append(after)
            starts = np.arange(out) * stride - before
            self.taps.append(starts[:, None] + np.arange(self.kernel[i]) * self.dilations[i])

    def windows(self, x: np.ndarray, fill: float) -> np.ndarray:
        """[batch, channel, *out, *kernel], `fill` where a window lies outside of `x`."""
        n = len(self.taps)
        for i, taps in reversed(list(enumerate(self.taps))):
            size = x.shape[2 + i]
            index = np.where((taps >= 0) & (taps < size), taps, size)
            beyond = np.full((*x.shape[: 2 + i], 1, *x.shape[3 + i :]), fill, x.dtype)
            x = np.concatenate([x, beyond], axis=2 + i).take(index, axis=2 + i)
        pairs = [2 + 2 * i for i in range(n)]
        return x.transpose([0, 1, *pairs, *[p + 1 for p in pairs]])


class Conv(OpRun):
    """Convolution."""

    def _run(self, x: Any, w: Any, b: Any = None, **attributes: Any) -> Any:
        group, n = attributes.get("group") or 1, w.ndim - 2
        geometry = Geometry(x.shape[2:], w.shape[2:], attributes)
        wide = np.pad(x, [(0, 0), (0, 0), *zip(geometry.before, geometry.after, strict=True)])
        parts = wide.reshape(len(x), group, -1, *wide.shape[2:])
        weights = w.reshape(group, len(w) // group, -1)
        sizes = [len(taps) for taps in geometry.taps]
        grid = itertools.product(*map(range, w.shape[2:]))
        reads = [_places(tap, geometry.dilations, geometry.strides, sizes) for tap in grid]
        y = np.empty((len(x), group, weights.shape[1], math.prod(sizes)), x.dtype)
        for image, result in zip(parts, y, strict=True):  # one at a time, as each window is a copy
            cells = np.stack([image[places] for places in reads], axis=2)
            np.matmul(weights, cells.reshape(group, weights.shape[2], -1), out=result)
        y = y.reshape(len(x), -1, *sizes)
        return (y if b is None else y + b.reshape(-1, *[1] * n),)


class ConvTranspose(OpRun):
    """Transposed convolution with explicit pads."""

    def _run(self, x: Any, w: Any, b: Any = None, **attributes: Any) -> Any:
        group, n = attributes.get("group") or 1, w.ndim - 2
        strides = attributes.get("strides") or [1] * n
        dilations = attributes.get("dilations") or [1] * n
        pads = attributes.get("pads") or [0] * 2 * n
        extra = attributes.get("output_padding") or [0] * n
        sizes = x.shape[2:]
        full = [
            (size - 1) * strides[i] + (w.shape[2 + i] - 1) * dilations[i] + 1 + extra[i]
            for i, size in enumerate(sizes)
        ]
        y = np.zeros((len(x), group, w.shape[1], *full), x.dtype)
        parts = x.reshape(len(x), group, -1, math.prod(sizes))
        weights = w.reshape(group, -1, *w.shape[1:])
        for tap in itertools.product(*map(range, w.shape[2:])):
            moved = weights[(..., *tap)].swapaxes(1, 2) @ parts
            y[_places(tap, dilations, strides, sizes)] += moved.reshape(*y.shape[:3], *sizes)
        inner: Any = (..., *(slice(pads[i], full[i] - pads[n + i]) for i in range(n)))
        y = y.reshape(len(x), -1, *full)[inner]
        return (y if b is None else y + b.reshape(-1, *[1] * n),)


def _places(
    tap: Sequence[int], dilations: Sequence[int], strides: Sequence[int], sizes: Sequence[int]
) -> tuple[Any, ...]:
    """The index of what one tap of the kernel reads from the padded image, in every window."""
    axes = zip(tap, dilations, strides, sizes, strict=True)
    return (..., *(slice(t * d, t * d + (size - 1) * s + 1, s) for t, d, s, size in axes))


class MaxPool(OpRun):
    """Maxima and their flat positions, the first of a tie."""

    def _run(self, x: Any, **attributes: Any) -> Any:
        geometry = Geometry(x.shape[2:], attributes["kernel_shape"], attributes)
        cells = geometry.windows(x, -np.inf)
        flat = cells.reshape(*cells.shape[: x.ndim], -1)
        best = flat.argmax(axis=-1)[..., None]
        where = geometry.windows(np.arange(x.size).reshape(x.shape), -1).reshape(flat.shape)
        y, indices = (np.take_along_axis(a, best, axis=-1)[..., 0] for a in (flat, where))
        return (y, indices)[: len(self.onnx_node.output)]


class AveragePool(OpRun):
    """Averages; explicit pads count on request, what ceil_mode adds at the end never does."""

    def _run(self, x: Any, **attributes: Any) -> Any:
        geometry = Geometry(x.shape[2:], attributes["kernel_shape"], attributes)
        spatial = tuple(range(x.ndim, 2 * x.ndim - 2))
        counts = np.ones((1, 1))
        for i, size in enumerate(x.shape[2:]):
            taps = geometry.taps[i]
            low, high = 0, size
            if attributes.get("count_include_pad"):
                low, high = -geometry.before[i], size + geometry.after[i]
            counts = counts[..., None] * ((taps >= low) & (taps < high)).sum(axis=1)
        return (geometry.windows(x, 0.0).sum(axis=spatial) / counts,)


class Pad(OpRun):
    """Padding; negative pads take away."""

    def _run(self, x: Any, pads: Any, value: Any = None, axes: Any = None, mode: str = "constant") -> Any:
        axes = range(x.ndim) if axes is None else axes
        wide, bounds = [(0, 0)] * x.ndim, [slice(None)] * x.ndim
        for i, axis in enumerate(axes):
            before, after = int(pads[i]), int(pads[len(axes) + i])
            wide[axis] = (max(before, 0), max(after, 0))
            bounds[axis] = slice(max(-before, 0), min(after, 0) or None)
        fill = {"constant_values": 0 if value is None else value} if mode == "constant" else {}
        return (np.pad(x, wide, mode, **fill)[tuple(bounds)],)  # type: ignore[call-overload]


OPERATORS = (Conv, ConvTranspose, MaxPool, AveragePool, Pad)
