"""Factories of torch modules, as a user of `fluxpath bench` has them: this file is copied and imported."""

from __future__ import annotations

import torch
from torch import nn

NUMBER = 3


def network(seed: int = 0) -> nn.Module:
    """[batch, 6] to 5 logits."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5)).eval()


def other() -> nn.Module:
    """A module of the same shape, and another function."""
    return network(1)


def fails() -> nn.Module:
    """Raises."""
    raise OSError("no weights")


def number() -> int:
    """Is no module."""
    return NUMBER
