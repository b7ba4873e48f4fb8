"""A torch module as the eager loops see it, and how they take its gradient.

`full_backward` does what published code does, `exact_gradient` the least that eager PyTorch can do. Points
are [n, *shape], targets int64 [n].
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fluxpath.export.torch_module.objectives import TORCH_OBJECTIVES, choose, compared
from fluxpath.methods import width_of

Walked = tuple[Tensor, Tensor | None]
"""Attributions [n, *shape], and where a method counts them, steps int64 [n]."""


@dataclass(frozen=True)
class Network:
    """A classifier in evaluation mode, what is explained of it, and the bounds of its input.

    module: from points to logits [n, classes]. objective: one of `TORCH_OBJECTIVES`. low, high: infinite
    where the input has no bound. channels_last: the order of images in memory.
    """

    module: nn.Module
    objective: str = "softmax"
    low: float = 0.0
    high: float = 1.0
    channels_last: bool = False

    @property
    def width(self) -> float:
        """The unit of settings that are lengths."""
        return width_of(self.low, self.high)

    def ordered(self, points: Tensor) -> Tensor:
        """The points in the network's memory order."""
        if self.channels_last and points.ndim == 4:
            return points.contiguous(memory_format=torch.channels_last)
        return points.contiguous()

    def fast(self, channels_last: bool) -> Network:
        """A copy for the best loops: weights frozen, in the order wanted."""
        return replace(self, module=fast_copy(self.module, channels_last), channels_last=channels_last)


class Gradient(NamedTuple):
    """The derivative of the objective is scale * seed, [n, *shape]; logits are [n, classes]."""

    seed: Tensor
    scale: Tensor
    logits: Tensor


Differentiate = Callable[[Network, Tensor, Tensor], Gradient]
"""The gradient at points, of the objective at targets."""


def full_backward(network: Network, points: Tensor, targets: Tensor) -> Gradient:
    """As published code: the objective itself, by way of a backward pass to the parameters too."""
    x = points.detach().requires_grad_(True)
    network.module.zero_grad()
    logits = network.module(x)
    _PLAIN[network.objective](logits, targets[:, None]).sum().backward()
    assert x.grad is not None
    return Gradient(x.grad, torch.ones(len(x), *[1] * (x.ndim - 1)), logits.detach())


def exact_gradient(network: Network, points: Tensor, targets: Tensor) -> Gradient:
    """To the input alone, in the two factors that fluxpath has, so as exact."""
    x = points.detach().requires_grad_(True)
    logits = network.module(x)
    z = logits.detach()
    head = TORCH_OBJECTIVES[network.objective].head(z, choose(z, targets)[1])
    (seed,) = torch.autograd.grad(logits, x, head.seed)
    return Gradient(seed, head.scale.view(-1, *[1] * (x.ndim - 1)), z)


def _margin(logits: Tensor, column: Tensor) -> Tensor:
    return logits.gather(1, column) - logits.scatter(1, column, -inf).max(1, keepdim=True).values


_PLAIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": lambda logits, column: logits.softmax(1).gather(1, column),
    "log_softmax": lambda logits, column: logits.log_softmax(1).gather(1, column),
    "sigmoid": lambda logits, column: logits.gather(1, column).sigmoid(),
    "logit": lambda logits, column: logits.gather(1, column),
    "margin": _margin,
}
"""The objectives as one would write them."""


class Classifier(nn.Module):  # type: ignore[misc]  # mypy does not follow torch
    """A user's module behind what its gradient graph does too: normalisation, and the logits alone.

    mean, std: per channel, None for none. pick: from what the module returns to its logits. binary: its one
    logit stands for two classes.
    """

    def __init__(
        self,
        module: nn.Module,
        mean: tuple[float, ...] | None,
        std: tuple[float, ...] | None,
        pick: Callable[[object], Tensor] | None,
        binary: bool,
    ) -> None:
        super().__init__()
        self.module, self.pick, self.binary = module, pick, binary
        self.normalised = mean is not None
        for name, given in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(given or (0.0,)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[n, *shape] to logits [n, classes]."""
        if self.normalised:
            shape = (-1, *[1] * (x.ndim - 2))
            x = (x - self.mean.view(shape)) / self.std.view(shape)
        found = self.module(x)
        logits = found if self.pick is None else self.pick(found)
        return compared(logits, self.binary)


class Half(nn.Module):  # type: ignore[misc]  # mypy does not follow torch
    """A network in half precision as a whole; its logits are float32.

    The fair comparison: autocast casts weights that need no gradient anew in every pass.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.dtype = model.to(dtype), dtype

    def forward(self, x: Tensor) -> Tensor:
        """The logits, [n, classes]."""
        logits: Tensor = self.model(x.to(self.dtype))
        return logits.float()


HALVES = {"float16": torch.float16, "bfloat16": torch.bfloat16}
"""By the graph's precision."""


def fast_copy(model: nn.Module, channels_last: bool = False) -> nn.Module:
    """A copy of `model`, frozen and, if wanted, in channels_last order."""
    model = copy.deepcopy(model).eval().requires_grad_(False)
    return model.to(memory_format=torch.channels_last) if channels_last else model
