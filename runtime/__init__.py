"""Attributions from gradient graphs, with numpy and ONNX Runtime alone (see `Explainer`)."""

from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.methods import MFABA, DeepLIFT, Method, NeFLAG
from fluxpath.runtime.opening import read_manifest
from fluxpath.runtime.session import GradientSession, OnnxSession
from fluxpath.runtime.status import Status

__all__ = [
    "MFABA",
    "Attribution",
    "DeepLIFT",
    "Explainer",
    "GradientSession",
    "Method",
    "NeFLAG",
    "OnnxSession",
    "Status",
    "read_manifest",
]
