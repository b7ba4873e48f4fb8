"""MFABA and NeFLAG as eager PyTorch loops, as their published code works and as fast as eager PyTorch goes.

Images are [n, *shape], targets int64 [n]; attributions [n, *shape] and steps [n] come back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fluxpath.bench.eager import Network, exact_gradient, full_backward
from fluxpath.runtime import MFABA, NeFLAG

Starts = Callable[[Tensor], Tensor]
"""From an image [*shape] to the points [n, *shape] where a method's samples begin."""


def published_mfaba(
    network: Network, images: Tensor, targets: Tensor, method: MFABA
) -> tuple[Tensor, Tensor]:
    """The way of MFABA's published code.

    The objective itself is differentiated, with respect to the parameters too; a second forward pass,
    recorded for a backward pass like the first, tells who crossed the boundary; a copy of every point and
    gradient is kept until the sum at the end.
    """
    points = [[image] for image in images]
    gradients: list[list[Tensor]] = [[] for _ in images]
    active = torch.arange(len(images))
    x = images.clone()
    for _ in range(method.max_steps):
        gradient = full_backward(network, x, targets[active]).seed
        x = _moved(network, x, images[active], gradient, method)
        for row, sample in enumerate(active.tolist()):
            gradients[sample].append(gradient[row].clone())
            points[sample].append(x[row].clone())
        keep = network.module(x.requires_grad_(True)).argmax(1) == targets[active]
        x = x.detach()
        active, x = active[keep], x[keep]
        if len(active) == 0:
            break
    ends = full_backward(network, torch.stack([walk[-1] for walk in points]), targets).seed
    values = []
    for walk, along, end in zip(points, gradients, ends, strict=True):
        stack = torch.stack([*along, end])
        weights = stack[:-1] if method.rule == "left" else (stack[:-1] + stack[1:]) / 2
        values.append(-(torch.stack(walk).diff(dim=0) * weights).sum(0))
    return torch.stack(values), torch.tensor([len(along) for along in gradients])


def best_mfaba(
    network: Network, images: Tensor, targets: Tensor, method: MFABA, slots: int
) -> tuple[Tensor, Tensor]:
    """The best eager loop: `network` is `Network.fast`, at most `slots` images walk at a time.

    One forward and one backward pass a point, to the input only; the sum runs along, no point is kept; a
    finished image gives its row to the next one.
    """
    images = network.ordered(images)
    values, steps = torch.empty_like(images), torch.zeros(len(images), dtype=torch.int64)
    following = min(slots, len(images))
    owner = torch.arange(following)
    image, target, x = images[:following].clone(), targets[:following].clone(), images[:following]
    pending, total = torch.zeros_like(x), torch.zeros_like(x)
    step = torch.zeros(following, dtype=torch.int64)
    while len(owner):
        gradient, scale, logits = exact_gradient(network, x, target)
        done = (step > 0) & ((logits.argmax(1) != target) | (step == method.max_steps))
        moved = _moved(network, x, image, gradient, method)
        shift = moved.sub(x)
        any_done = bool(done.any())
        if any_done:
            shift[done] = 0
        weight = shift if method.rule == "left" else pending.add_(shift).mul_(0.5)
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


def _moved(network: Network, x: Tensor, images: Tensor, gradient: Tensor, method: MFABA) -> Tensor:
    """One step down the gradient, within the bounds and, smooth, within the radius of the images."""
    step = float(method.step_size or 0) * network.width
    if method.ascent == "sharp":
        norm = gradient.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))
        return (x - step * gradient / norm).clamp(network.low, network.high)
    radius = method.SMOOTH_RADIUS * network.width
    shift = (x - step * gradient.sign() - images).clamp(-radius, radius)
    return (images + shift).clamp(network.low, network.high)


def published_neflag(
    network: Network,
    images: Tensor,
    targets: Tensor,
    method: NeFLAG,
    slots: int,
    starts: Starts | None = None,
) -> tuple[Tensor, Tensor]:
    """NeFLAG's Algorithm 1, an image at a time, its samples together, by full backward passes."""
    values, steps = torch.zeros_like(images), torch.zeros(len(images), dtype=torch.int64)
    radius = float(method.radius) * network.width
    for k, image in enumerate(images):
        for some in (starts or sphere(network, method))(image).split(slots):
            points = some
            for step in range(method.max_steps + 1):
                target = targets[k].expand(len(points))
                gradient, _, logits = full_backward(network, points, target)
                done = _ended(method, gradient, points - image, logits, target, step)
                values[k] += (gradient[done] * (image - points[done])).sum(0)
                steps[k] += step * int(done.sum())
                gradient = gradient[~done]
                if not len(gradient):
                    break
                points = (image - radius * gradient.sign()).clamp(network.low, network.high)
    return values, steps


def best_neflag(
    network: Network,
    images: Tensor,
    targets: Tensor,
    method: NeFLAG,
    slots: int,
    starts: Starts | None = None,
) -> tuple[Tensor, Tensor]:
    """The same with the samples of all images together, `slots` at a time; one that ends makes room."""
    images = network.ordered(images)
    values, steps = torch.zeros_like(images), torch.zeros(len(images), dtype=torch.int64)
    begin = starts or sphere(network, method)
    radius = float(method.radius) * network.width
    waiting, following = images[:0], 0
    points, owner = images[:0], torch.zeros(0, dtype=torch.int64)
    step = owner.clone()
    while len(owner) or len(waiting) or following < len(images):
        room, fresh, of = slots - len(owner), [points], [owner]
        while room and (len(waiting) or following < len(images)):
            if not len(waiting):
                waiting, following = begin(images[following]), following + 1
            some, waiting = waiting.split([n := min(room, len(waiting)), len(waiting) - n])
            fresh.append(some)
            of.append(torch.full((n,), following - 1))
            room -= n
        points, owner = network.ordered(joined(fresh)), joined(of)
        step = torch.cat([step, torch.zeros(len(owner) - len(step), dtype=torch.int64)])
        seed, scale, logits = exact_gradient(network, points, targets[owner])
        gradient, around = seed * scale, images[owner]
        done = _ended(method, gradient, points - around, logits, targets[owner], step)
        values.index_add_(0, owner[done], gradient[done] * (around[done] - points[done]))
        steps.index_add_(0, owner[done], step[done])
        kept = ~done
        points = (around[kept] - radius * seed[kept].sign()).clamp(network.low, network.high)
        owner, step = owner[kept], step[kept] + 1
    return values, steps


def joined(rows: Sequence[Tensor]) -> Tensor:
    """One tensor of all rows; no copy of a single one."""
    return rows[0] if len(rows) == 1 else torch.cat(list(rows))


def _ended(
    method: NeFLAG, gradient: Tensor, offset: Tensor, logits: Tensor, target: Tensor, step: Tensor | int
) -> Tensor:
    """Which samples are done [n]: a step at least, and the flux is negative or the class another."""
    flux = (gradient * offset).flatten(1).sum(1)
    crossed = flux < 0 if method.stop == "flux" else logits.argmax(1) != target
    taken = torch.as_tensor(step).expand(len(flux))
    return (crossed & (taken > 0)) | (taken >= method.max_steps)


def sphere(network: Network, method: NeFLAG) -> Starts:
    """Random points on the sphere around an image, of torch's own noise."""

    def starts(image: Tensor) -> Tensor:
        noise = torch.randn(method.n, *image.shape, dtype=image.dtype)
        length = noise.flatten(1).norm(dim=1).view(-1, *[1] * image.ndim)
        return (image + float(method.radius) * network.width * noise / length).clamp(
            network.low, network.high
        )

    return starts
