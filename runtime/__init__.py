"""Attributions from gradient graphs, with numpy and ONNX Runtime alone (see `Explainer`)."""

from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.many import Summary
from fluxpath.runtime.methods import (
    AGI,
    BIG,
    LPI,
    MFABA,
    DeepLIFT,
    ExpectedGradients,
    GuidedIG,
    InputXGradient,
    IntegratedGradients,
    Method,
    NeFLAG,
    Saliency,
    SmoothGrad,
)
from fluxpath.runtime.opening import read_manifest
from fluxpath.runtime.session import GradientSession, OnnxSession
from fluxpath.runtime.sinks import Sink
from fluxpath.status import Status

__all__ = [
    "AGI",
    "BIG",
    "LPI",
    "MFABA",
    "Attribution",
    "DeepLIFT",
    "ExpectedGradients",
    "Explainer",
    "GradientSession",
    "GuidedIG",
    "InputXGradient",
    "IntegratedGradients",
    "Method",
    "NeFLAG",
    "OnnxSession",
    "Saliency",
    "Sink",
    "SmoothGrad",
    "Status",
    "Summary",
    "read_manifest",
]
