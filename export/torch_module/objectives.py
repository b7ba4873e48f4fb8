"""The objectives of `objectives.py` once more, as torch computes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch


class Head(NamedTuple):
    """`score` and `scale` [batch], `seed` [batch, classes]: d score / d logits = scale * seed."""

    score: torch.Tensor
    seed: torch.Tensor
    scale: torch.Tensor


class TorchObjective(NamedTuple):
    """`head` and `margin` are functions of logits [batch, classes] and a boolean one-hot target.

    The score is a function of the margin alone, and the margin's gradient is the seed's; autograd takes it in
    float64 to verify what `head` and the graph make of it.
    """

    head: Callable[[torch.Tensor, torch.Tensor], Head]
    margin: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def choose(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The predicted class [batch], and the target (a negative one: the prediction) as a boolean one-hot."""
    label = logits.argmax(-1)
    chosen = torch.where(target < 0, label, target)
    classes = torch.arange(logits.shape[1], device=logits.device)
    return label, classes == chosen.unsqueeze(1)


def compared(logits: torch.Tensor, binary: bool) -> torch.Tensor:
    """Logits as [batch, classes]; one logit z of a binary classifier as (0, z)."""
    columns = logits.reshape(logits.shape[0], -1)
    return torch.cat([torch.zeros_like(columns), columns], 1) if binary else columns


def _without(logits: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    return logits.masked_fill(onehot, -torch.inf)


def _at(logits: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    return torch.where(onehot, logits, torch.zeros_like(logits)).sum(-1)


def _odds(logits: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    return _at(logits, onehot) - _without(logits, onehot).logsumexp(-1)


def _lead(logits: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    return _at(logits, onehot) - _without(logits, onehot).max(-1).values


def _logistic(d: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """1/(1 + exp(-d)) and its derivative, without subtracting from one."""
    e = torch.exp(-d.abs())
    return torch.where(d >= 0, torch.ones_like(e), e) / (1 + e), e / ((1 + e) * (1 + e))


def _against_others(logits: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    return onehot.to(logits.dtype) - _without(logits, onehot).softmax(-1)


def _softmax(logits: torch.Tensor, onehot: torch.Tensor) -> Head:
    score, scale = _logistic(_odds(logits, onehot))
    return Head(score, _against_others(logits, onehot), scale)


def _log_softmax(logits: torch.Tensor, onehot: torch.Tensor) -> Head:
    d = _odds(logits, onehot)
    e = torch.exp(-d.abs())
    score = d.clamp(max=0) - torch.log1p(e)
    return Head(score, _against_others(logits, onehot), _logistic(-d)[0])


def _sigmoid(logits: torch.Tensor, onehot: torch.Tensor) -> Head:
    score, scale = _logistic(_at(logits, onehot))
    return Head(score, onehot.to(logits.dtype), scale)


def _logit(logits: torch.Tensor, onehot: torch.Tensor) -> Head:
    score = _at(logits, onehot)
    return Head(score, onehot.to(logits.dtype), torch.ones_like(score))


def _margin(logits: torch.Tensor, onehot: torch.Tensor) -> Head:
    rival = _without(logits, onehot).argmax(-1, keepdim=True)
    is_rival = torch.arange(logits.shape[1], device=logits.device) == rival
    score = _lead(logits, onehot)
    return Head(score, onehot.to(logits.dtype) - is_rival.to(logits.dtype), torch.ones_like(score))


TORCH_OBJECTIVES: dict[str, TorchObjective] = {
    "softmax": TorchObjective(_softmax, _odds),
    "log_softmax": TorchObjective(_log_softmax, _odds),
    "sigmoid": TorchObjective(_sigmoid, _at),
    "logit": TorchObjective(_logit, _at),
    "margin": TorchObjective(_margin, _lead),
}
"""By the names of `objectives.OBJECTIVES`."""
