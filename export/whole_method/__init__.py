"""Whole methods in a file: MFABA, NeFLAG or integrated gradients as one ONNX graph, loop and all."""

from fluxpath.export.whole_method.attribution import (
    attribution_from_gradient,
    attribution_from_onnx,
    compile_around,
)
from fluxpath.export.whole_method.base import WholeMethod
from fluxpath.export.whole_method.integrated_gradients import IntegratedGradients
from fluxpath.export.whole_method.methods import METHOD_NAMES, chosen_method
from fluxpath.export.whole_method.mfaba import MFABA
from fluxpath.export.whole_method.neflag import NeFLAG

__all__ = [
    "METHOD_NAMES",
    "MFABA",
    "IntegratedGradients",
    "NeFLAG",
    "WholeMethod",
    "attribution_from_gradient",
    "attribution_from_onnx",
    "chosen_method",
    "compile_around",
]
