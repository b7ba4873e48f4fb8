"""MFABA as eager PyTorch loops: the baselines that the benchmarks measure fluxpath against.

`explain` does what the method's published code does, `best_eager` the least that eager PyTorch can do.
Both walk from the image down the target's softmax probability until the predicted class changes, and
return the attributions [n, c, h, w] and the number of steps [n].
"""

from __future__ import annotations

import copy
from typing import Literal

import torch
from torch import Tensor, nn

Ascent = Literal["sharp", "smooth"]
Rule = Literal["left", "trapezoid"]

SHARP_STEP = 0.1
SMOOTH_STEP = 0.001
SMOOTH_RADIUS = 0.3


def explain(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    ascent: Ascent = "sharp",
    rule: Rule = "trapezoid",
    max_steps: int = 50,
) -> tuple[Tensor, Tensor]:
    """The way of the published code, in the dtype of `model` and `images`.

    The softmax probability itself is differentiated, with respect to the parameters too; a second forward
    pass, recorded for a backward pass like the first, tells who crossed the boundary; a copy of every point
    and gradient is kept until the sum at the end.
    """
    model.requires_grad_(True)
    points = [[image] for image in images]
    gradients: list[list[Tensor]] = [[] for _ in images]
    active = torch.arange(len(images))
    x = images.clone()
    for _ in range(max_steps):
        gradient = _full_backward(model, x, targets[active])
        x = _moved(x, images[active], gradient, ascent)
        for row, sample in enumerate(active.tolist()):
            gradients[sample].append(gradient[row].clone())
            points[sample].append(x[row].clone())
        keep = model(x.requires_grad_(True)).argmax(1) == targets[active]
        x = x.detach()
        active, x = active[keep], x[keep]
        if len(active) == 0:
            break
    ends = _full_backward(model, torch.stack([walk[-1] for walk in points]), targets)
    values = []
    for walk, along, end in zip(points, gradients, ends, strict=True):
        stack = torch.stack([*along, end])
        weights = stack[:-1] if rule == "left" else (stack[:-1] + stack[1:]) / 2
        values.append(-(torch.stack(walk).diff(dim=0) * weights).sum(0))
    return torch.stack(values), torch.tensor([len(along) for along in gradients])


def _full_backward(model: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
    """The gradient of the probabilities at `x`, by way of a backward pass through everything."""
    x = x.detach().requires_grad_(True)
    model.zero_grad()
    probability = model(x).softmax(1).gather(1, targets[:, None])
    probability.sum().backward()
    assert x.grad is not None
    return x.grad


def _moved(x: Tensor, images: Tensor, gradient: Tensor, ascent: Ascent) -> Tensor:
    """One step down the gradient, within [0, 1] and, smooth, within 0.3 of the images."""
    if ascent == "sharp":
        length = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        return (x - SHARP_STEP * gradient / length).clamp(0, 1)
    shift = (x - SMOOTH_STEP * gradient.sign() - images).clamp(-SMOOTH_RADIUS, SMOOTH_RADIUS)
    return (images + shift).clamp(0, 1)


def fast_copy(model: nn.Module, channels_last: bool = False) -> nn.Module:
    """A copy of `model` for `best_eager`: frozen and, if wanted, in channels_last order."""
    model = copy.deepcopy(model).eval().requires_grad_(False)
    return model.to(memory_format=torch.channels_last) if channels_last else model


def folded(model: nn.Module) -> nn.Module:
    """A copy with batch normalisations folded into convolutions; `model` itself where torch.fx cannot."""
    from torch.fx.experimental.optimization import fuse

    try:
        copied: nn.Module = fuse(model.eval())
    except Exception:  # whatever tracing does not see through, and then there may be nothing to fold
        return model
    return copied


def best_eager(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    ascent: Ascent = "sharp",
    rule: Rule = "trapezoid",
    max_steps: int = 50,
    batch: int = 32,
    channels_last: bool = False,
) -> tuple[Tensor, Tensor]:
    """The best eager loop: `model` is a `fast_copy`, at most `batch` images walk at a time.

    One forward and one backward pass a point, to the input only; the sum runs along, no point is kept; a
    finished image gives its row to the next one. The probability's derivative is taken in two factors
    (see `_head`), so it is as exact as fluxpath's.
    """
    order = torch.channels_last if channels_last else torch.contiguous_format
    images = images.contiguous(memory_format=order)
    values, steps = torch.empty_like(images), torch.zeros(len(images), dtype=torch.int64)
    following = min(batch, len(images))
    owner = torch.arange(following)
    image, target, x = images[:following].clone(), targets[:following].clone(), images[:following]
    pending, total = torch.zeros_like(x), torch.zeros_like(x)
    step = torch.zeros(following, dtype=torch.int64)
    while len(owner):
        x = x.detach().requires_grad_(True)
        logits = model(x)
        z = logits.detach()
        seed, scale = _head(z, target)
        (gradient,) = torch.autograd.grad(logits, x, seed)
        x = x.detach()
        done = (step > 0) & ((z.argmax(1) != target) | (step == max_steps))
        moved = _moved(x, image, gradient, ascent)
        shift = moved.sub(x)
        any_done = bool(done.any())
        if any_done:
            shift[done] = 0
        weight = shift if rule == "left" else pending.add_(shift).mul_(0.5)
        total.addcmul_(weight, gradient.mul_(scale), value=-1)
        x, pending = moved, shift
        step += ~done
        if not any_done:
            continue
        free = done.nonzero().squeeze(1)
        values[owner[free]], steps[owner[free]] = total[free], step[free]
        rows = free[: len(images) - following]
        fresh = torch.arange(following, following + len(rows))
        following += len(rows)
        owner[rows], image[rows], target[rows], x[rows] = fresh, images[fresh], targets[fresh], images[fresh]
        pending[rows], total[rows], step[rows] = 0, 0, 0
        done[rows] = False
        if len(rows) < len(free):
            kept = (~done).nonzero().squeeze(1)
            owner, target, step = owner[kept], target[kept], step[kept]
            image, x, pending, total = image[kept], x[kept], pending[kept], total[kept]
    return values, steps


def _head(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The derivative of the target's probability by the logits as seed [n, classes] and scale [n, 1, 1, 1].

    With d = z_t - logsumexp(others), it is e/(1 + e)^2 * (onehot - softmax(others)), e = exp(-|d|), without
    the cancellation of 1 - p.
    """
    column = target[:, None]
    others = logits.scatter(1, column, -torch.inf)
    e = (logits.gather(1, column) - others.logsumexp(1, keepdim=True)).abs().neg().exp()
    seed = others.softmax(1).neg().scatter(1, column, 1.0)
    return seed, (e / (1 + e).square()).view(-1, 1, 1, 1)
