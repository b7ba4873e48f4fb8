"""Compiles a classifier together with its input gradient into one file (see `gradient_from_onnx`)."""

from fluxpath.export.cost import Cost, estimate
from fluxpath.export.gradient_graph import Exported, gradient_from_onnx
from fluxpath.export.rules import supported_operators
from fluxpath.export.verification import Verification, verify

__all__ = [
    "Cost",
    "Exported",
    "Verification",
    "estimate",
    "gradient_from_onnx",
    "supported_operators",
    "verify",
]
