"""The methods in float64 on the device, once for each network: what every side is held against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks.gpu.loops import loop
from benchmarks.gpu.models import Images
from benchmarks.gpu.place import Row, work
from benchmarks.gpu.setup import Labels, Result, Setup
from fluxpath.bench.eager import Network, exact_gradient, fast_copy
from fluxpath.bench.folding import folded
from fluxpath.runtime import Attribution
from fluxpath.runtime.fidelity import fidelity

COMPARED = 8
"""The first images of a run, whose attributions are compared."""


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
            np.savez(path, values=values, steps=steps)
        with np.load(path) as kept:
            return kept["values"], kept["steps"]

    def _path(self, method: str) -> Path:
        s = self._setup
        settings = f"{len(self._images)}-{s.max_steps}-{s.samples}-{s.points}"
        name = f"{s.subject.name}-{method}-{settings}.npz".replace("/", "-").replace(" ", "-")
        return work() / "float64" / name

    def _computed(self, method: str) -> Result:
        setup = self._setup
        model = fast_copy(folded(setup.subject.module)).double().to(setup.device)
        explain = loop(setup, Network(model), exact_gradient, torch.float64, same_noise=True)
        values, steps = explain(self._images, self._targets, method)
        if steps is None:  # where points are independent, fluxpath counts them
            steps = np.full(len(values), setup.method(method).lanes, np.int64)
        return values, steps


def _attribution(values: Images, steps: Labels) -> Attribution:
    none = np.zeros(len(values), np.int64)
    status, score = none.astype(np.int32), none.astype(np.float32)
    return Attribution(values, none, none, steps.astype(np.int32), status, score, None)
