"""Compiles a classifier with its gradient into one file: `gradient_from_onnx`, `gradient_from_torch`.

`attribution_from_onnx` puts a whole method around it, in the same file.
"""

from fluxpath.export.cost import Cost, estimate
from fluxpath.export.from_torch import gradient_from_torch
from fluxpath.export.gradient_graph import Exported, gradient_from_onnx
from fluxpath.export.randomised import randomised
from fluxpath.export.rules import supported_operators
from fluxpath.export.verification import Verification, verify
from fluxpath.export.whole_method import attribution_from_gradient, attribution_from_onnx
from fluxpath.preprocessing import Preprocessing

__all__ = [
    "Cost",
    "Exported",
    "Preprocessing",
    "Verification",
    "attribution_from_gradient",
    "attribution_from_onnx",
    "estimate",
    "gradient_from_onnx",
    "gradient_from_torch",
    "randomised",
    "supported_operators",
    "verify",
]
