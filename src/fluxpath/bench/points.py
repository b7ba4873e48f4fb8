"""Methods of independent points as eager PyTorch loops: each is a weighted sum of gradients.

Images are [n, *shape], targets int64 [n]; attributions [n, *shape] come back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fluxpath.bench.eager import Differentiate, Network
from fluxpath.bench.walks import Starts, joined
from fluxpath.runtime import InputXGradient, IntegratedGradients, Method, Saliency, SmoothGrad

Points = Callable[[Tensor], tuple[Tensor, Tensor, Tensor | float]]
"""From an image [*shape] to its points [k, *shape], their weights [k], and what multiplies their sum."""


def summed(
    network: Network,
    images: Tensor,
    targets: Tensor,
    method: Method,
    slots: int,
    differentiate: Differentiate,
    together: bool,
    starts: Starts | None = None,
) -> Tensor:
    """The attributions, at most `slots` points at a time, of all images where they go `together`."""
    images = network.ordered(images)
    if isinstance(method, Saliency | InputXGradient):
        gradients = _at_images(network, images, targets, slots if together else 1, differentiate)
        if isinstance(method, InputXGradient):
            return gradients.mul_(images)
        return gradients.abs_() if method.absolute else gradients
    place, totals, multipliers = points_of(method, network, starts), torch.zeros_like(images), []
    waiting: list[tuple[Tensor, Tensor, Tensor]] = []
    held = 0
    for k, image in enumerate(images):
        some, shares, multiplier = place(image)
        multipliers.append(multiplier)
        waiting.append((some, shares, torch.full((len(some),), k)))
        held += len(some)
        last = not together or k + 1 == len(images)
        if held < slots and not last:
            continue
        points, weights, owner = (joined(column) for column in zip(*waiting, strict=True))
        ready = held if last else held - held % slots
        for first in range(0, ready, slots):
            part = slice(first, min(first + slots, ready))
            chosen = network.ordered(points[part])
            gradient, scale, _ = differentiate(network, chosen, targets[owner[part]])
            weight = scale * weights[part].view(scale.shape)
            totals.index_add_(0, owner[part], gradient * weight)
        waiting = [(points[ready:], weights[ready:], owner[ready:])] if ready < held else []
        held -= ready
    for k, multiplier in enumerate(multipliers):
        totals[k] *= multiplier
    return totals


def _at_images(
    network: Network, images: Tensor, targets: Tensor, slots: int, differentiate: Differentiate
) -> Tensor:
    """The derivative at the images themselves."""
    found = []
    for x, t in zip(images.split(slots), targets.split(slots), strict=True):
        gradient, scale, _ = differentiate(network, x, t)
        found.append(gradient * scale)
    return joined(found)


def points_of(method: Method, network: Network, starts: Starts | None = None) -> Points:
    """Where a method takes its gradients, and how it adds them up."""
    if isinstance(method, IntegratedGradients):
        return _straight(method)
    assert isinstance(method, SmoothGrad)
    return _noisy(method, network, starts)


def _straight(method: IntegratedGradients) -> Points:
    shares, weights = _rule(method.steps, method.rule)
    given: Any = method.baseline
    baseline = given if isinstance(given, float) else torch.from_numpy(given.array.copy())

    def points(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if isinstance(baseline, float):
            from_there = torch.full_like(image, baseline)
        else:
            from_there = baseline.to(image).view(image.shape)
        along = torch.from_numpy(shares).to(image).view(-1, *[1] * image.ndim)
        return (
            from_there + along * (image - from_there),
            torch.from_numpy(weights).to(image),
            image - from_there,
        )

    return points


def _rule(steps: int, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """The share of the way from baseline to image of each point, and its weight, float64."""
    if rule == "gauss-legendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return (nodes + 1) / 2, weights / 2
    if rule == "trapezoid":
        weights = np.full(steps + 1, 1 / steps)
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, steps + 1), weights
    first = {"left": 0.0, "middle": 0.5, "right": 1.0}[rule]
    return (np.arange(steps) + first) / steps, np.full(steps, 1 / steps)


def _noisy(method: SmoothGrad, network: Network, starts: Starts | None) -> Points:
    def points(image: Tensor) -> tuple[Tensor, Tensor, float]:
        if starts is not None:
            around = starts(image)
        else:
            around = image + method.sigma * network.width * torch.randn(method.n, *image.shape)
            around = around.clamp(network.low, network.high) if method.clip else around
        return around, torch.full((len(around),), 1 / len(around)), 1.0

    return points
