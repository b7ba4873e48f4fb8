"""The sides without fluxpath: the published loop, the best eager one, the same compiled, and Captum."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from benchmarks.gpu.models import Images
from benchmarks.gpu.setup import Explain, Labels, Result, Setup
from benchmarks.gpu.sides import IG, NeedsGpuError, Side
from fluxpath.bench import captum_calls
from fluxpath.bench.eager import (
    HALVES,
    Differentiate,
    Half,
    Network,
    exact_gradient,
    fast_copy,
    full_backward,
)
from fluxpath.bench.folding import folded
from fluxpath.bench.torch_sides import explained
from fluxpath.bench.work import Work


def opened(side: Side, setup: Setup) -> Explain:
    """The side, its network on the device; half precision in channels-last order, as tensor cores like."""
    half = HALVES.get(side.precision)
    if side.kind == "published":
        published = copy.deepcopy(setup.subject.module).to(setup.device).requires_grad_(True)
        return loop(setup, Network(published if half is None else Half(published, half)), full_backward)
    if side.kind == "captum":
        return _captum(setup)
    channels_last = half is not None or "channels-last" in side.flags
    model = fast_copy(folded(setup.subject.module), channels_last).to(setup.device)
    if half is not None:
        model = _Autocast(model, setup.device, half) if "autocast" in side.flags else Half(model, half)
    if side.kind == "compiled":
        if not setup.cuda:
            raise NeedsGpuError("torch.compile is timed on a GPU only")
        model = torch.compile(model, dynamic=True)
    return loop(setup, Network(model, channels_last=channels_last), exact_gradient)


def loop(
    setup: Setup,
    network: Network,
    differentiate: Differentiate,
    dtype: torch.dtype = torch.float32,
    same_noise: bool = False,
) -> Explain:
    """One of fluxpath.bench's loops as a side."""

    def explain(images: Images, targets: Labels, name: str) -> Result:
        with torch.device(setup.device):  # the loops' own tensors are made there too
            given = torch.from_numpy(images).to(setup.device, dtype)
            chosen = torch.from_numpy(targets).to(setup.device)
            method = setup.method(name)
            slots = len(images) if differentiate is full_backward else setup.slots
            work = Work(method, 0, len(images), slots, same_noise=same_noise)
            values, steps = explained(network, given, chosen, work, differentiate)
            return values.float().cpu().numpy(), None if steps is None else steps.cpu().numpy()

    return explain


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


def _captum(setup: Setup) -> Explain:
    network: Any = Network(fast_copy(folded(setup.subject.module)).to(setup.device))
    call = captum_calls.call_of(setup.method(IG), network, max(setup.slots, setup.points + 1))

    def explain(images: Images, targets: Labels, _: str) -> Result:
        given = torch.from_numpy(images).to(setup.device)
        chosen = torch.from_numpy(targets).to(setup.device)
        return call(given, chosen).detach().float().cpu().numpy(), None

    return explain
