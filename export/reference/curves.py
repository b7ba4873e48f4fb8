"""The error function and what is made of it, which onnx.reference computes in float32."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun

_erf = np.frompyfunc(math.erf, 1, 1)


class Erf(OpRun):
    """The error function."""

    def _run(self, x: Any) -> Any:
        return (_erf(x).astype(x.dtype),)


class Gelu(OpRun):
    """x Phi(x), or its approximation with tanh."""

    def _run(self, x: Any, approximate: str | None = None) -> Any:
        if approximate == "tanh":
            return (0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),)
        return (0.5 * x * (1 + _erf(x * math.sqrt(0.5)).astype(x.dtype)),)


OPERATORS = (Erf, Gelu)
