"""The sides without fluxpath: the published loop, the best eager one, the same compiled, and Captum."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from benchmarks import eager
from benchmarks.gpu.models import Images
from benchmarks.gpu.setup import Explain, Labels, Result, Setup
from benchmarks.gpu.sides import MFABAS, NeedsGpuError, Side

HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def opened(side: Side, setup: Setup) -> Explain:
    """The side, its network on the device; half precision in channels-last order, as tensor cores like."""
    half = HALVES.get(side.precision)
    if side.kind == "published":
        published = copy.deepcopy(setup.subject.module).to(setup.device)
        return loop(setup, eager.explain, published if half is None else _Half(published, half))
    if side.kind == "captum":
        return _captum(setup)
    channels_last = half is not None or "channels-last" in side.flags
    model = eager.fast_copy(eager.folded(setup.subject.module), channels_last).to(setup.device)
    if half is not None:
        model = _Autocast(model, setup.device, half) if "autocast" in side.flags else _Half(model, half)
    if side.kind == "compiled":
        if not setup.cuda:
            raise NeedsGpuError("torch.compile is timed on a GPU only")
        model = torch.compile(model, dynamic=True)
    return loop(setup, eager.best_eager, model, batch=setup.slots, channels_last=channels_last)


def loop(
    setup: Setup,
    walk: Callable[..., Any],
    model: nn.Module,
    dtype: torch.dtype = torch.float32,
    **more: Any,
) -> Explain:
    """One of `benchmarks.eager`'s loops as a side."""

    def explain(images: Images, targets: Labels, method: str) -> Result:
        ascent = "sharp" if method == MFABAS[0] else "smooth"
        with torch.device(setup.device):  # the loops' own tensors are made there too
            given = torch.from_numpy(images).to(setup.device, dtype)
            chosen = torch.from_numpy(targets).to(setup.device)
            values, steps = walk(model, given, chosen, ascent, max_steps=setup.max_steps, **more)
            return values.float().cpu().numpy(), steps.cpu().numpy()

    return explain


class _Half(nn.Module):
    """A network in half precision as a whole; its logits are float32.

    The fair comparison: autocast casts weights that need no gradient anew in every pass.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.dtype = model.to(dtype), dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits, [n, classes]."""
        logits: torch.Tensor = self.model(x.to(self.dtype))
        return logits.float()


class _Autocast(nn.Module):
    """A network in mixed precision; its logits are float32."""

    def __init__(self, model: nn.Module, device: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.kind, self.dtype = model, device.partition(":")[0], dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits, [n, classes]."""
        with torch.autocast(self.kind, self.dtype):
            logits: torch.Tensor = self.model(x)
        return logits.float()


class _Softmax(nn.Module):
    """The probabilities: what Captum is to explain, as fluxpath explains them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, classes]."""
        logits: torch.Tensor = self.model(x)
        return logits.softmax(1)


def _captum(setup: Setup) -> Explain:
    from captum.attr import IntegratedGradients as Captums

    model = _Softmax(eager.fast_copy(eager.folded(setup.subject.module))).to(setup.device)
    attribute = Captums(model).attribute
    points, batch = setup.points + 1, max(setup.slots, setup.points + 1)

    def explain(images: Images, targets: Labels, _: str) -> Result:
        given = torch.from_numpy(images).to(setup.device)
        chosen = torch.from_numpy(targets).to(setup.device)
        rule = {"n_steps": points, "method": "riemann_trapezoid", "internal_batch_size": batch}
        found = attribute(given, target=chosen, **rule)
        found *= points / (points - 1)  # Captum's weights of this rule sum to (n - 1) / n
        return found.float().cpu().numpy(), None

    return explain
