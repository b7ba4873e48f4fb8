"""Checks a gradient graph against central differences of the forward model in float64."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from fluxpath import archive
from fluxpath import manifest as contract
from fluxpath.baseline import unpack_baseline
from fluxpath.companions import fillers_for
from fluxpath.errors import ArtifactError, VerificationError
from fluxpath.export.artifact import read
from fluxpath.export.objectives import OBJECTIVES
from fluxpath.export.verification.double import in_float64
from fluxpath.export.verification.inputs import given_inputs, random_inputs
from fluxpath.export.verification.judgement import (
    LARGEST_ERROR,
    Errors,
    Float64,
    Verification,
    judge,
    judged,
    scale_ratio,
    score_error,
)
from fluxpath.export.verification.running import Evaluate, evaluator, running
from fluxpath.manifest import Manifest

DIRECTIONS = 2

STEP, LONGEST_STEP, NO_STEP = 1e-8, 1e-2, 1e-9
"""Of a central difference, in widths of the valid range. The shortest crosses the fewest kinks."""

ENOUGH = 1e-5
"""The share of a central difference that may be something else before a longer step is tried."""


def verify(path: str | os.PathLike[str], images: npt.NDArray[np.float32] | None = None) -> Verification:
    """Verify the gradient graph in the file `path` against its own forward part in float64.

    images: inputs to verify at, float32 [n, ...]; None takes a few random ones. A thousandth of noise is
    mixed in, because equal pixels tie in a MaxPool, where there is no derivative to compare with. Raises
    ArtifactError where the file is not an intact gradient graph, InputError where the images do not fit it,
    VerificationError where its gradient is wrong.
    """
    if Path(path).suffix == archive.SUFFIX and Path(path).is_file():
        raise ArtifactError(
            f"'{path}' is TorchScript, which has no float64 form: it was verified as it was written, and "
            "'fluxpath info' shows the error"
        )
    proto, manifest = read(Path(path))
    return verify_model(proto, manifest, ir.from_proto(proto), images)


def verify_model(
    artifact: onnx.ModelProto,
    manifest: Manifest,
    forward: ir.Model,
    images: npt.NDArray[np.float32] | None = None,
    evaluate: Evaluate | None = None,
) -> Verification:
    """Compare `artifact` in float32 with finite differences of the logits of `forward` in float64.

    At each of a few random inputs x and directions v ~ N(0, I), <gradient, v> is held against the central
    difference of the objective. An error e of the gradient shows as <e, v>, of the size of |e|. The
    difference is taken of the objective's margin, whose slope stays exact where the score saturates.
    forward: is changed in place. evaluate: runs `artifact`, where it is open already.
    """
    with running("the gradient graph"):
        evaluate = evaluator(artifact) if evaluate is None else evaluate
    rng = np.random.default_rng(20240229)
    x = random_inputs(manifest, rng) if images is None else given_inputs(images, manifest, rng)
    points = len(x)
    companions = fillers_for(manifest, points)
    with running("the model in float64"):
        logits = _float64_logits(forward, manifest, companions)
        z = logits(x.astype(np.float64))
    target = np.where(np.arange(points) % 2, rng.integers(manifest.classes, size=points), z.argmax(1))
    if manifest.rules == "deeplift":
        return _completeness(evaluate, manifest, logits, x, companions)
    objective = OBJECTIVES[manifest.objective]
    width = 1.0 if manifest.low is None or manifest.high is None else manifest.high - manifest.low

    def slope(v: Float64) -> _Slope:
        def margin(by: float) -> Float64:
            return objective.margin(logits(x + by * v), target)

        middle = objective.margin(z, target)
        last = float(np.spacing(max(np.abs(z).max(), np.abs(middle).max())))
        return _slope(margin, middle, v.reshape(points, -1), width, last)

    slopes = [slope(rng.standard_normal(x.shape)) for _ in range(DIRECTIONS)]

    def errors(out: dict[str, Any]) -> Errors:
        gradient = out[contract.GRADIENT].astype(np.float64).reshape(points, -1)
        ratio = scale_ratio(
            out[contract.SCALE].astype(np.float64), objective.factor(objective.margin(z, target))
        )
        norm = np.linalg.norm(gradient, axis=1)
        apart = [np.abs(ratio * (gradient * s.direction).sum(1) - s.value) for s in slopes]
        return np.asarray(apart) / np.where(norm > 0, norm, 1.0), score_error(out, objective, z, target)

    feeds: dict[str, npt.NDArray[Any]] = {manifest.input: x, **companions}
    feeds[contract.TARGET] = target.astype(np.int64)
    noise = 10 * max(s.noise for s in slopes)
    against = "central differences in float64"
    try:
        exact = partial(in_float64, ir.from_proto(artifact))
        return judge(evaluate, exact, feeds, errors, manifest.precision, against, noise)
    except VerificationError as error:
        if not noise >= LARGEST_ERROR:
            raise
        raise VerificationError(
            "the gradient is so much smaller than the logits that no difference in float64 tells whether it "
            "is right: train the network, if it is as it was initialised, or export it as a torch module, "
            "which automatic differentiation verifies"
        ) from error


@dataclass(frozen=True)
class _Slope:
    """A central difference along `direction` [n, size], and about what share of it is not the derivative."""

    direction: Float64
    value: Float64
    noise: float


def _slope(
    margin: Callable[[float], Float64], middle: Float64, direction: Float64, width: float, last: float
) -> _Slope:
    """The central difference of `margin` at 0, with the shortest step at which rounding does not drown it.

    A gradient may be far smaller than the numbers whose rounding the margin carries. middle: margin(0). last:
    the worth of the last digit of what the margin is made of.
    """

    def at(step: float) -> tuple[Float64, float]:
        """The difference, and the size of the second difference."""
        ahead, behind = margin(step * width), margin(-step * width)
        second = float(np.median(np.abs(ahead - 2 * middle + behind)))
        return ahead - behind, max(second, last)

    rounding, found, step = None, [], STEP
    while True:
        apart, second = at(step)
        size = max(float(np.median(np.abs(apart))), float(np.finfo(float).tiny))
        if second > ENOUGH * size and rounding is None:
            # Of a step that short, the second difference is rounding and nothing else.
            rounding = at(NO_STEP)[1]
        # The third order, which a central difference leaves, is about the square of the second.
        noise = second / size if rounding is None else rounding / size + min(second / size, 1.0) ** 2
        found.append(_Slope(direction, apart / (2 * step * width), noise))
        if noise < ENOUGH or step >= LONGEST_STEP:
            return min(found, key=lambda slope: slope.noise)
        step *= 10


def _completeness(
    evaluate: Evaluate,
    manifest: Manifest,
    logits: Callable[[Float64], Float64],
    x: npt.NDArray[np.float32],
    companions: dict[str, npt.NDArray[Any]],
) -> Verification:
    """Hold the sum of DeepLIFT's multipliers times the difference against the logit's difference."""
    assert manifest.baseline is not None
    baseline = unpack_baseline(manifest.baseline, x[0].size).astype(np.float64)
    z = logits(x.astype(np.float64))
    z0 = logits(np.broadcast_to(baseline.reshape(x[0].shape), x.shape).copy())
    target = np.arange(len(x)) % manifest.classes
    with running("the gradient graph"):
        out = evaluate({manifest.input: x, contract.TARGET: target, **companions})
    parts = out[contract.GRADIENT].astype(np.float64).reshape(len(x), -1)
    parts = parts * (x.reshape(len(x), -1) - baseline)
    true = (z - z0)[np.arange(len(x)), target]
    # Large parts may cancel, and their rounding with them.
    size = np.maximum(np.abs(true), np.linalg.norm(parts, axis=1))
    errors = np.abs(parts.sum(1) - true) / np.where(size > 0, size, 1.0)
    score = score_error(out, OBJECTIVES[manifest.objective], z, target)
    return judged(errors, score, manifest.precision, "the difference from the baseline in float64")


def _float64_logits(
    forward: ir.Model, manifest: Manifest, companions: dict[str, npt.NDArray[Any]]
) -> Callable[[Float64], Float64]:
    model = forward_part(forward, manifest)
    feeds = {
        name: value.astype(np.float64) if value.dtype == np.float32 else value
        for name, value in companions.items()
    }
    evaluate = in_float64(model)

    def logits(x: Float64) -> Float64:
        values = {manifest.input: x, **feeds}
        rows = (evaluate({name: v[i : i + 1] for name, v in values.items()}) for i in range(len(x)))
        z = np.stack([np.asarray(row[manifest.logits], np.float64).reshape(-1) for row in rows])
        # One logit of a binary classifier is compared with the zero of the other class.
        return np.concatenate([np.zeros_like(z), z], axis=1) if z.shape[1] < manifest.classes else z

    return logits


def forward_part(model: ir.Model, manifest: Manifest) -> ir.Model:
    """The classifier inside a gradient graph (changed in place): its one output is the logits."""
    wanted = {v.name: v for node in model.graph for v in node.outputs}.get(manifest.logits)
    if wanted is None:
        raise ArtifactError(f"the graph has no value '{manifest.logits}': export the model again")
    del model.graph.outputs[:]
    model.graph.outputs.append(wanted)
    model = common.RemoveUnusedNodesPass()(model).model
    names = (manifest.input, *(c.name for c in manifest.companions))
    for value in [v for v in model.graph.inputs if v.name not in names]:
        model.graph.inputs.remove(value)
    return model
