"""The error function and what is made of it, which onnx.reference computes in float32."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx.reference.op_run import OpRun

_PER_UNIT, _END = 1024, 6
"""Points of the table per unit, and where the error function is one in float64."""

_AT_ONCE = 2**13
"""So that what is in between stays in the processor's cache."""

_POINTS = np.arange(-_END * _PER_UNIT, _END * _PER_UNIT + 1) / _PER_UNIT
_VALUES = np.array([math.erf(p) for p in _POINTS])
_SLOPES = 2 / math.sqrt(math.pi) * np.exp(-(_POINTS**2))


def erf(x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The error function to 3e-16: from a point of a table by four terms of Taylor's series.

    numpy has none, and math.erf, called for each number, is several times as slow.
    """
    flat = np.asarray(x, np.float64).reshape(-1)
    found = np.empty_like(flat)
    for start in range(0, flat.size, _AT_ONCE):
        found[start : start + _AT_ONCE] = _near(flat[start : start + _AT_ONCE])
    return found.reshape(np.shape(x))


def _near(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x = np.where(np.isnan(x), x, np.clip(x, -_END, _END))
    index = np.nan_to_num(np.rint(x * _PER_UNIT)).astype(np.int64) + _END * _PER_UNIT
    point = _POINTS[index]
    d, square = x - point, point * point
    # The derivatives of exp(-p^2) are Hermite polynomials times it.
    series = 1 + d * (d * ((2 * square - 1) / 3 + d * (point * (3 - 2 * square) / 6)) - point)
    found: npt.NDArray[np.float64] = _VALUES[index] + _SLOPES[index] * d * series
    return found


class Erf(OpRun):
    """The error function."""

    def _run(self, x: Any) -> Any:
        return (erf(x).astype(x.dtype),)


class Gelu(OpRun):
    """x Phi(x), or its approximation with tanh."""

    def _run(self, x: Any, approximate: str | None = None) -> Any:
        if approximate == "tanh":
            return (0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),)
        return (0.5 * x * (1 + erf(x * math.sqrt(0.5)).astype(x.dtype)),)


OPERATORS = (Erf, Gelu)
