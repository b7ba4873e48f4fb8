"""The attribution methods, one file each."""

from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.points.deeplift import DeepLIFT
from fluxpath.runtime.methods.points.expected_gradients import ExpectedGradients
from fluxpath.runtime.methods.points.input_x_gradient import InputXGradient
from fluxpath.runtime.methods.points.integrated_gradients import IntegratedGradients
from fluxpath.runtime.methods.points.lpi import LPI
from fluxpath.runtime.methods.points.saliency import Saliency
from fluxpath.runtime.methods.points.smoothgrad import SmoothGrad
from fluxpath.runtime.methods.walks.agi import AGI
from fluxpath.runtime.methods.walks.big import BIG
from fluxpath.runtime.methods.walks.guided_ig import GuidedIG
from fluxpath.runtime.methods.walks.mfaba import MFABA
from fluxpath.runtime.methods.walks.neflag import NeFLAG

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
