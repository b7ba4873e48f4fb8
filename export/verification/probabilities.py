"""Whether what the source model itself gives are probabilities, and the explained score is one of them.

The search for the logits may miss the end of a model, and probabilities would be taken for logits: the score
would be a probability of a probability. What is here does not depend on that search.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from fluxpath import manifest as contract
from fluxpath.companions import fillers_for
from fluxpath.errors import ModelError
from fluxpath.export.verification.inputs import random_inputs
from fluxpath.export.verification.running import Evaluate, reference, runner, serialized
from fluxpath.manifest import Manifest

Array = npt.NDArray[Any]

NEAR = {"float32": 1e-3, "float16": 3e-2, "bfloat16": 2e-1}
"""How far a score may be from the model's own probability, relative, by the precision of the graph."""

TINY = 1e-6
"""Probabilities below this are not compared."""

_OF_LOGITS: dict[str, Callable[[Array], Array]] = {
    "softmax": lambda score: score,
    "sigmoid": lambda score: score,
    "log_softmax": np.exp,
}
"""Objectives that take logits, and the probability that their score stands for."""

_WEIGHTED = {"MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum", "LSTM", "GRU", "RNN"}
_SQUASHING = {"Softmax", "Sigmoid", "HardSigmoid", "Tanh", "Erf"}

_COMPARED = "score against the model's own probability, relative"


def check_probabilities(
    source: onnx.ModelProto, evaluate: Evaluate, manifest: Manifest, output: str | None
) -> tuple[dict[str, float], tuple[str, ...]]:
    """ModelError if the explained output of `source` holds probabilities, and `score` is not its entry.

    evaluate: runs the gradient graph. Returns how far the score is from the probability, if there is one, and
    notes where that cannot be told.
    """
    name = output or source.graph.output[0].name
    inner = name not in [v.name for v in source.graph.output]
    if manifest.objective not in _OF_LOGITS or manifest.classes < 2 or inner:
        return {}, ()
    x = random_inputs(manifest, np.random.default_rng(20240303))
    feeds = {manifest.input: x, **fillers_for(manifest, len(x))}
    target = np.full(len(x), -1, np.int64)
    out = evaluate({**feeds, contract.TARGET: target})
    squashed = _squashed(source, name)
    if name in out and not probable(out[name], manifest, squashed, near=1e-2):
        # The same output in the gradient graph: no need to run the model as well.
        return {}, doubts(out[name], out, manifest)
    given = _outputs(source, manifest, feeds, name)
    return compare(given, out, target, manifest, squashed, name), doubts(given, out, manifest)


def compare(
    given: Array,
    out: dict[str, Any],
    target: Array,
    manifest: Manifest,
    squashed: bool,
    name: str | None = None,
) -> dict[str, float]:
    """Hold the `score` in `out` against `given`, the model's own output for the same inputs.

    target: what was asked for, negative the predicted class. squashed: whether something with a bounded
    range, as a sigmoid, comes after the model's last weights. name: the output's.
    """
    if manifest.objective not in _OF_LOGITS or not probable(given, manifest, squashed):
        return {}
    rows = given.reshape(len(given), -1).astype(np.float64)
    rows = np.concatenate([1 - rows, rows], axis=1) if rows.shape[1] == 1 else rows
    own = rows[np.arange(len(rows)), np.where(target < 0, out[contract.LABEL], target)]
    score = _OF_LOGITS[manifest.objective](out[contract.SCORE].astype(np.float64))
    apart = np.maximum(np.abs(score - own) - TINY, 0) / np.maximum(np.abs(own), TINY)
    if not apart.max() <= NEAR[manifest.precision]:
        what = "the model's output" if name is None else f"output '{name}'"
        each = "take the objective 'sigmoid' if each class has a probability of its own, or "
        first = each if manifest.objective != "sigmoid" else ""
        raise ModelError(
            f"{what} holds probabilities ({own[0]:.3g}), and the value '{manifest.logits}' that was taken "
            f"for their logits gives another ({score[0]:.3g}): {first}name the logits with output= (on the "
            "command line, --logits NAME), which in an ONNX model may be any value inside, or explain the "
            "output as it is with the objective 'logit'"
        )
    return {_COMPARED: float(apart.max())}


def doubts(given: Array, out: dict[str, Any], manifest: Manifest) -> tuple[str, ...]:
    """A note where what the model gives may be probabilities, and was taken for logits."""
    rows = given.reshape(len(given), -1)
    between = manifest.objective in _OF_LOGITS and 0 <= rows.min() < rows.max() <= 1
    score = _OF_LOGITS[manifest.objective](out[contract.SCORE]) if between else None
    if score is None or np.isclose(rows, score[:, None], rtol=1e-2).any(axis=1).all():
        return ()
    return (
        "everything that the model gives lies between 0 and 1: if these are probabilities and not logits, "
        "name the logits with output= (on the command line, --logits NAME), or explain the output as it is "
        "with the objective 'logit'",
    )


def probable(given: Array, manifest: Manifest, squashed: bool, near: float = 1e-3) -> bool:
    """Whether rows of numbers are probabilities, or a multiple of them such as percent.

    They are not negative, and either have one sum, or come from a bounded range and stay within 0 and 1.
    """
    if given.ndim == 0 or given.size not in (len(given), len(given) * manifest.classes):
        return False
    rows = given.reshape(len(given), -1).astype(np.float64)
    if not rows.min() >= -near * np.abs(rows).max():
        return False
    # As far as rows differ: large numbers have nearly one sum as well, and constant ones have.
    varied = float(np.ptp(rows, axis=0).max())
    one_sum = rows.shape[1] > 1 and varied > 0 and bool(np.ptp(rows.sum(axis=1)) <= 10 * near * varied)
    return one_sum or (squashed and bool(rows.max() <= 1 + near))


def _squashed(source: onnx.ModelProto, name: str) -> bool:
    """Whether the output is made of what has a bounded range, and of constants, after the last weights."""
    made = {output: node for node in source.graph.node for output in node.output}
    inputs = {v.name for v in source.graph.input} - {v.name for v in source.graph.initializer}
    ahead, seen, found = [name], set(), False
    while ahead:
        value = ahead.pop()
        node = made.get(value)
        if value in inputs or (node is not None and node.op_type in _WEIGHTED):
            return False
        if node is None or value in seen:
            continue
        seen.add(value)
        if node.op_type in _SQUASHING:
            found = True
        else:
            ahead.extend(node.input)
    return found


def _outputs(source: onnx.ModelProto, manifest: Manifest, feeds: dict[str, Array], name: str) -> Array:
    """The source model's output, row by row in batches of the size that it wants."""
    x = feeds[manifest.input]
    if manifest.mean is not None and manifest.std is not None:
        shape = (-1, *[1] * (x.ndim - 2))
        x = (x - np.reshape(manifest.mean, shape)) / np.reshape(manifest.std, shape)
        feeds = {**feeds, manifest.input: x.astype(np.float32)}
    entry = next(v for v in source.graph.input if v.name == manifest.input)
    batch = max(1, entry.type.tensor_type.shape.dim[0].dim_value)
    with TemporaryDirectory() as folder:
        file = serialized(source, Path(folder))
        try:
            run = runner(file, source)
        except Exception:  # ONNX Runtime refuses what the exporter takes: for one, two nodes of one name
            run = reference(file, source)
    rows = [
        run([name], {k: np.repeat(v[i : i + 1], batch, axis=0) for k, v in feeds.items()})[0]
        for i in range(len(x))
    ]
    return np.concatenate([row.reshape(batch, -1)[:1] for row in rows])
