"""The methods in float64 on the device, once for each network: what every side is held against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import eager
from benchmarks.gpu.loops import loop
from benchmarks.gpu.models import Images
from benchmarks.gpu.place import Row, work
from benchmarks.gpu.setup import Labels, Result, Setup
from benchmarks.gpu.sides import IG, MFABAS
from fluxpath.runtime import Attribution, NeFLAG
from fluxpath.runtime.fidelity import fidelity
from fluxpath.runtime.lanes import Fresh, Lanes

COMPARED = 8
"""The first images of a run, whose attributions are compared."""

Gradient = Callable[[Tensor], Tensor]


class References:
    """float64 attributions of the first images, computed when they are first asked for, then kept on disk."""

    def __init__(self, setup: Setup, images: Images, targets: Labels) -> None:
        self._setup, self._images, self._targets = setup, images[:COMPARED], targets[:COMPARED]

    def agreement(self, method: str, given: Result) -> Row:
        """How far attributions of the first images, or of fewer of them, are from float64's; medians.

        equal_steps is None where a side counts none.
        """
        values, steps = given
        count = min(len(values), len(self._images))
        exact, its = self._kept(method)
        none = np.zeros(count, np.int64)
        of_side = _attribution(values[:count], none if steps is None else steps[:count])
        found = fidelity(of_side, _attribution(exact[:count], none if its is None else its[:count]))
        return {
            "distance": float(np.median(found.distance)),
            "largest_distance": float(found.distance.max()),
            "rank_correlation": float(np.median(found.rank_correlation)),
            "equal_steps": None if steps is None else float(found.equal_steps.mean()),
            "images": count,
        }

    def _kept(self, method: str) -> Result:
        path = self._path(method)
        if not path.exists():
            values, steps = self._computed(method)
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, values=values, steps=np.zeros(len(values), np.int64) if steps is None else steps)
        with np.load(path) as kept:
            return kept["values"], kept["steps"]

    def _path(self, method: str) -> Path:
        s = self._setup
        settings = f"{len(self._images)}-{s.max_steps}-{s.samples}-{s.points}"
        name = f"{s.subject.name}-{method}-{settings}.npz".replace("/", "-").replace(" ", "-")
        return work() / "float64" / name

    def _computed(self, method: str) -> Result:
        setup = self._setup
        model = eager.fast_copy(eager.folded(setup.subject.module)).double().to(setup.device)
        if method in MFABAS:
            walk = loop(setup, eager.best_eager, model, torch.float64, batch=setup.slots)
            return walk(self._images, self._targets, method)
        one = _integrated if method == IG else _neflag
        found = [one(setup, model, *pair) for pair in zip(self._images, self._targets.tolist(), strict=True)]
        return np.stack([values for values, _ in found]), np.array([steps for _, steps in found], np.int64)


def _attribution(values: Images, steps: Labels) -> Attribution:
    none = np.zeros(len(values), np.int64)
    status, score = none.astype(np.int32), none.astype(np.float32)
    return Attribution(values, none, none, steps.astype(np.int32), status, score, None)


def _gradients(model: torch.nn.Module, points: Tensor, target: int) -> Tensor:
    """Of the target's probability, at every point."""
    x = points.detach().requires_grad_(True)
    logits = model(x)
    seed, scale = eager._head(logits.detach(), torch.full((len(x),), target, device=x.device))
    (gradient,) = torch.autograd.grad(logits, x, seed)
    return gradient * scale


def _integrated(setup: Setup, model: torch.nn.Module, image: Images, target: int) -> tuple[Images, int]:
    """Integrated Gradients by the trapezoid rule from black."""
    x = torch.from_numpy(image).to(setup.device, torch.float64)
    total = torch.zeros_like(x)
    shares = torch.linspace(0, 1, setup.points + 1, dtype=torch.float64, device=setup.device)
    weights = torch.full_like(shares, 1 / setup.points)
    weights[[0, -1]] /= 2
    for some, weigh in zip(shares.split(32), weights.split(32), strict=True):
        points = some.view(-1, 1, 1, 1) * x
        total += (weigh.view(-1, 1, 1, 1) * _gradients(model, points, target)).sum(0)
    return (total * x).float().cpu().numpy(), setup.points + 1


def _neflag(setup: Setup, model: torch.nn.Module, image: Images, target: int) -> tuple[Images, int]:
    """NeFLAG from the very points that fluxpath starts at, until the flux is negative."""
    radius = NeFLAG.paper().radius
    x = torch.from_numpy(image).to(setup.device, torch.float64)
    points = torch.from_numpy(_starts(setup, image)).to(setup.device, torch.float64)
    total, steps = torch.zeros_like(x), 0
    for step in range(setup.max_steps + 1):
        gradient = _gradients(model, points, target)
        flux = (gradient * (points - x)).flatten(1).sum(1)
        done = torch.full_like(flux, step == setup.max_steps, dtype=torch.bool) | ((flux < 0) & (step > 0))
        total += (gradient[done] * (x - points[done])).sum(0)
        steps += step * int(done.sum())
        gradient = gradient[~done]
        if not len(gradient):
            break
        points = (x - radius * gradient.sign()).clamp(0, 1)
    return total.float().cpu().numpy(), steps


def _starts(setup: Setup, image: Images) -> Images:
    """The points on the sphere: the noise depends on the seed, the sample and the element alone."""
    method, shape = setup.method("NeFLAG"), setup.subject.shape
    lanes, numbers = Lanes(setup.samples, shape, 0.0, 1.0), np.arange(setup.samples, dtype=np.int32)
    flat = np.ascontiguousarray(image.reshape(-1))
    lanes.fill([Fresh(int(k), flat, 0, int(k)) for k in numbers])
    method.start(lanes, numbers, numbers)
    return lanes.point.reshape(-1, *shape)
