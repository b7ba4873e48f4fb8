"""Factories of torch modules, as a user of `fluxpath bench` has them: this file is copied and imported."""

from __future__ import annotations

import sys

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


def ends() -> nn.Module:
    """Ends the program, as scripts do."""
    sys.exit("no data")


class Ending(nn.Module):
    """Ends the program when it is called, but for the first few times."""

    def __init__(self) -> None:
        super().__init__()
        self.network, self.calls = network(), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, 6] to 5 logits."""
        self.calls += 1
        if self.calls > 6:
            sys.exit("enough")
        found: torch.Tensor = self.network(x)
        return found


class Several(nn.Module):
    """Returns an auxiliary output and the logits, by names."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.side = network(), network(1)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """[batch, 6] to 5 logits each."""
        return {"aux": self.side(x), "out": self.main(x)}


class Normalising(nn.Module):
    """Does itself what the file was told to do."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[batch, 6] to 5 logits."""
        found: torch.Tensor = self.network((x - 0.5) / 0.1)
        return found


def number() -> int:
    """Is no module."""
    return NUMBER
