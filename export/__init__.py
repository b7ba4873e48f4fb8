"""Compiles a classifier together with its input gradient into one file (see `gradient_from_onnx`)."""

from fluxpath.export.gradient_graph import Exported, gradient_from_onnx
from fluxpath.export.rules import supported_operators
from fluxpath.export.verification import Verification, verify

__all__ = ["Exported", "Verification", "gradient_from_onnx", "supported_operators", "verify"]
