"""fluxpath's methods as Captum's: torch tensors in and out, each a `captum.attr.Attribution`.

    from fluxpath.runtime.captum import MFABA
    attributions = MFABA(explainer).attribute(inputs, target=3, ascent="smooth")

Settings have the names of fluxpath's classes. Importing this imports torch, and Captum where it is installed.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from fluxpath.runtime import methods
from fluxpath.runtime.captum.base import BaselineAttribution, MethodAttribution

__all__ = [
    "AGI",
    "BIG",
    "LPI",
    "MFABA",
    "BaselineAttribution",
    "DeepLIFT",
    "ExpectedGradients",
    "GuidedIG",
    "InputXGradient",
    "IntegratedGradients",
    "MethodAttribution",
    "NeFLAG",
    "Saliency",
    "SmoothGrad",
]


class MFABA(MethodAttribution):
    """`fluxpath.runtime.MFABA` for Captum."""

    method = methods.MFABA


class NeFLAG(MethodAttribution):
    """`fluxpath.runtime.NeFLAG` for Captum."""

    method = methods.NeFLAG


class Saliency(MethodAttribution):
    """`fluxpath.runtime.Saliency` for Captum; Captum's `abs` is `absolute` here."""

    method, multiplies = methods.Saliency, False


class InputXGradient(MethodAttribution):
    """`fluxpath.runtime.InputXGradient` for Captum."""

    method = methods.InputXGradient


class IntegratedGradients(BaselineAttribution):
    """`fluxpath.runtime.IntegratedGradients` for Captum: its `n_steps` is `steps`, its `method` is `rule`."""

    method = methods.IntegratedGradients


class SmoothGrad(MethodAttribution):
    """`fluxpath.runtime.SmoothGrad` for Captum: a NoiseTunnel of Saliency, with noise of its own."""

    method, multiplies = methods.SmoothGrad, False


class ExpectedGradients(BaselineAttribution):
    """`fluxpath.runtime.ExpectedGradients` for Captum, its GradientShap; `baselines` are the background."""

    method, setting = methods.ExpectedGradients, "background"


class LPI(BaselineAttribution):
    """`fluxpath.runtime.LPI` for Captum; `baselines` are the references."""

    method, setting = methods.LPI, "references"


class GuidedIG(BaselineAttribution):
    """`fluxpath.runtime.GuidedIG` for Captum."""

    method = methods.GuidedIG

    def _one(self, array: npt.NDArray[Any]) -> Any:
        """Its baseline is one number, as of `torch.zeros_like(x)`."""
        return array.flat[0].item() if array.size and (array == array.flat[0]).all() else array


class AGI(MethodAttribution):
    """`fluxpath.runtime.AGI` for Captum."""

    method = methods.AGI


class BIG(MethodAttribution):
    """`fluxpath.runtime.BIG` for Captum."""

    method = methods.BIG


class DeepLIFT(MethodAttribution):
    """`fluxpath.runtime.DeepLIFT` for Captum; the baseline is in the file."""

    method = methods.DeepLIFT
