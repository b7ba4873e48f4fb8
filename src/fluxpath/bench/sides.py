"""Every side of a comparison by name: how it is opened, and what it has."""

from __future__ import annotations

from fluxpath.bench.work import LeftOut, Setup, Side
from fluxpath.manifest import Manifest
from fluxpath.runtime import (
    MFABA,
    ExpectedGradients,
    InputXGradient,
    IntegratedGradients,
    Method,
    NeFLAG,
    Saliency,
    SmoothGrad,
)

FLUXPATH = "fluxpath"
LOOPS = ("published", "folded", "best", "compiled")
TORCH = (*LOOPS, "captum")
"""The sides that need the torch module."""

FOLDED = tuple(side for side in TORCH if side != "published")
"""Those with batch normalisations folded into convolutions, as the gradient graph has them."""

MEANINGS = {
    FLUXPATH: "an Explainer on the gradient graph; a step: the graph alone",
    "published": "an eager PyTorch loop that works as published code does, on the module as it is",
    "folded": "the same on the module with its batch normalisations folded",
    "best": "the best eager loop: gradients to the input only, batch normalisations folded, the better order",
    "compiled": "the best loop with the module compiled by torch.compile (inductor)",
    "captum": "Captum on the same frozen, folded module",
    "openvino": "the same gradient graph in OpenVINO, one evaluation",
}
SIDES = tuple(MEANINGS)
CHOSEN = tuple(side for side in SIDES if side != "folded")
"""What `fluxpath bench` compares."""

_PLAIN = (Saliency, InputXGradient, IntegratedGradients)
OWN_NOISE = (SmoothGrad, ExpectedGradients)
"""Methods whose noise Captum draws by itself, so that attributions agree on average only."""


def missing(side: str, method: Method | None, manifest: Manifest) -> str | None:
    """Why a side has nothing to compare with fluxpath's method (None: one gradient step); None if it has."""
    if side == FLUXPATH:
        return None
    if side == "openvino":
        return None if method is None else "it runs the gradient graph, not whole methods"
    if manifest.rules != "gradient":
        return f"the file has the rules '{manifest.rules}', and torch has gradients"
    if side == "captum":
        return None if _in_captum(method) and manifest.objective != "margin" else "Captum has no such thing"
    if method is None or isinstance(method, Saliency | InputXGradient | IntegratedGradients):
        return None
    if isinstance(method, MFABA):
        plain = method.path == "taylor" and not method.accumulate
        given = isinstance(method.step_size, float | int)
        return None if plain and given else "no eager loop has these settings: steps must be a number"
    if isinstance(method, NeFLAG):
        return None if isinstance(method.radius, float | int) else "no eager loop has a radius 'auto'"
    if isinstance(method, SmoothGrad) and method.variant == "mean":
        return None
    return "there is no eager loop for this method"


def _in_captum(method: Method | None) -> bool:
    smooth = isinstance(method, SmoothGrad) and method.variant == "mean" and not method.clip
    return smooth or isinstance(method, (*_PLAIN, ExpectedGradients))


def opened(name: str, setup: Setup) -> Side:
    """The side, ready to work in this process; LeftOut with the reason if it cannot be had here."""
    from fluxpath.bench import graph_sides

    if name == FLUXPATH:
        return graph_sides.FluxpathSide(setup)
    if name == "openvino":
        if setup.device != "cpu":
            raise LeftOut("it is timed on the CPU only")
        return graph_sides.OpenVinoSide(setup)
    if setup.make is None:
        raise LeftOut("no torch module was given")
    if setup.manifest.companions:
        raise LeftOut("the model has further inputs")
    try:
        import torch  # noqa: F401

        from fluxpath.bench import torch_sides
    except ImportError as error:
        raise LeftOut(f'torch sides need {error.name}: pip install "fluxpath[torch]"') from None
    return torch_sides.opened(name, setup)
