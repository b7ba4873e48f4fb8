"""Attributions from gradient graphs; needs only numpy and ONNX Runtime (see `Explainer`)."""

from fluxpath.artifact import read_manifest
from fluxpath.runtime.attribution import Attribution, Subject
from fluxpath.runtime.backends.base import GradientSession
from fluxpath.runtime.backends.onnx import OnnxSession
from fluxpath.runtime.bulk.many import Summary
from fluxpath.runtime.bulk.sinks import Sink
from fluxpath.runtime.engine.stats import Stats
from fluxpath.runtime.explainer import Explainer
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
from fluxpath.runtime.methods.named import method_named
from fluxpath.runtime.prediction import Prediction
from fluxpath.runtime.walk import Walk
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
    "Prediction",
    "Saliency",
    "Sink",
    "SmoothGrad",
    "Stats",
    "Status",
    "Subject",
    "Summary",
    "Walk",
    "method_named",
    "read_manifest",
]
