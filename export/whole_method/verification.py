"""Checks a whole method's file against its walk in numpy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath import manifest as contract
from fluxpath.companions import fillers_for
from fluxpath.errors import VerificationError
from fluxpath.export.verification import Verification
from fluxpath.export.verification.inputs import random_inputs
from fluxpath.export.verification.running import Run, runner
from fluxpath.export.whole_method.base import STATUS, STEPS, Float64, Walk, WholeMethod
from fluxpath.export.whole_method.loop import ATTRIBUTION
from fluxpath.manifest import Manifest
from fluxpath.status import Status

Feeds = dict[str, npt.NDArray[Any]]

TYPICAL_ERROR = 1e-2
"""Bound on the median relative error. Right loops stay near 1e-6, but where rounding carries an activation
of a deep model over a kink; wrong ones are off by the order of one."""


def verify_method(file: Path, gradient: Path, manifest: Manifest, method: WholeMethod) -> Verification:
    """Compare what `file` gives for a few random images with `method.walk` on the gradient graph.

    The walk is in float64 except for the gradients, which were verified before. An image whose two walks end
    unlike counts as infinitely wrong; one such is forgiven, because a step may end so close to the boundary
    that rounding decides on which side. Raises VerificationError.
    """
    rng = np.random.default_rng(20240301)
    images = random_inputs(manifest, rng)
    n, shape = len(images), images.shape[1:]
    target = np.where(np.arange(n) % 2, rng.integers(manifest.classes, size=n), -1)
    feeds: Feeds = {manifest.input: images, contract.TARGET: target, **fillers_for(manifest, n)}
    names = [ATTRIBUTION, STEPS, STATUS, contract.SCORE]
    values, steps, status, score = _run(file)(names, {**feeds, **method.trial(shape)})
    graph = _run(gradient)
    score_at, label, _, _ = graph(_GRADIENT_OUTPUTS, feeds)
    feeds[contract.TARGET] = np.where(target < 0, label, target)
    errors = []
    for i in range(n):
        true = _walk(graph, method, manifest, feeds, i)
        same = (int(steps[i]), int(status[i])) == (true.steps, true.status)
        errors.append(_relative(values[i], true.values) if same else np.inf)
    agreeing = [e for e in errors if np.isfinite(e)]
    score_error = np.abs(score - score_at) / np.maximum(1.0, np.abs(score_at))
    error, typical = max(agreeing, default=np.inf), float(np.median(errors))
    figures = {
        f"attributions against {method.name} step by step, relative, median": typical,
        f"attributions against {method.name} step by step, relative, worst": error,
    }
    result = Verification(error, typical, float(score_error.max()), figures)
    exact = manifest.precision == "float32"
    if len(agreeing) < n - 1 or (exact and not result.typical <= TYPICAL_ERROR):
        raise VerificationError(
            f"the file's attributions are off by {', '.join(f'{e:.1e}' for e in errors)} from {method.name} "
            f"computed step by step (at most {TYPICAL_ERROR} is right): please report the model"
        )
    return result


_GRADIENT_OUTPUTS = [contract.SCORE, contract.LABEL, contract.GRADIENT, contract.SCALE]


def _walk(graph: Run, method: WholeMethod, manifest: Manifest, feeds: Feeds, i: int) -> Walk:
    """The walk of image `i`, evaluated in a batch of the file's size, in which kernels round alike."""
    images, targets = feeds[manifest.input], feeds[contract.TARGET]
    lost = False

    def evaluate(point: Float64) -> tuple[int, Float64, float, float]:
        batch = np.broadcast_to(point.astype(np.float32), images.shape)
        at = {**feeds, manifest.input: batch, contract.TARGET: np.full_like(targets, targets[i])}
        nonlocal lost
        score, label, gradient, scale = graph(_GRADIENT_OUTPUTS, at)
        lost |= bool(gradient[i].any() and not (scale[i] * gradient[i]).any())
        return int(label[i]), gradient[i].astype(np.float64), float(scale[i]), float(score[i])

    walk = method.walk(evaluate, images[i].astype(np.float64), int(targets[i]), manifest)
    vanished = lost and walk.status != Status.NON_FINITE and not walk.values.astype(np.float32).any()
    return replace(walk, status=Status.UNDERFLOW) if vanished else walk


def _relative(given: npt.NDArray[np.float32], true: Float64) -> float:
    size = float(np.linalg.norm(true.ravel()))
    # Smaller ones are where float32 has no digits left.
    return float(np.linalg.norm((given - true).ravel())) / (size if size > 1e-30 else 1.0)


def _run(file: Path) -> Run:
    """The file with nothing fused.

    Fused or not, file and gradient graph would round differently, and at a kink of the model the last bit
    decides: it takes a sign step of NeFLAG somewhere else.
    """
    return runner(str(file), optimized=False)
