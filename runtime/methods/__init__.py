"""The attribution methods, one file each."""

from fluxpath.runtime.methods.agi import AGI
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.big import BIG
from fluxpath.runtime.methods.deeplift import DeepLIFT
from fluxpath.runtime.methods.expected_gradients import ExpectedGradients
from fluxpath.runtime.methods.guided_ig import GuidedIG
from fluxpath.runtime.methods.input_x_gradient import InputXGradient
from fluxpath.runtime.methods.integrated_gradients import IntegratedGradients
from fluxpath.runtime.methods.lpi import LPI
from fluxpath.runtime.methods.mfaba import MFABA
from fluxpath.runtime.methods.neflag import NeFLAG
from fluxpath.runtime.methods.saliency import Saliency
from fluxpath.runtime.methods.smoothgrad import SmoothGrad

__all__ = [
    "AGI",
    "BIG",
    "LPI",
    "MFABA",
    "DeepLIFT",
    "ExpectedGradients",
    "GuidedIG",
    "InputXGradient",
    "IntegratedGradients",
    "Method",
    "NeFLAG",
    "Saliency",
    "SmoothGrad",
]
