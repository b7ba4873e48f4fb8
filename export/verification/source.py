"""Holds a gradient graph against what the source model itself gives."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from fluxpath import manifest as contract
from fluxpath.companions import ones_for
from fluxpath.errors import ModelError
from fluxpath.export.verification.inputs import random_inputs
from fluxpath.export.verification.running import Evaluate, reference, runner, serialized
from fluxpath.manifest import Manifest

NEAR = {"float32": 1e-3, "float16": 3e-2, "bfloat16": 2e-1}
"""How far a score may be from the model's own probability, by the precision of the graph."""


def check_probabilities(
    source: onnx.ModelProto, evaluate: Evaluate, manifest: Manifest, output: str | None
) -> None:
    """ModelError where the explained output is a probability vector, and `score` is not its entry.

    That happens where the search for the logits misses the Softmax: probabilities would be taken for logits,
    and the score would be a probability of a probability. This check does not depend on the search: it
    compares the outputs of the two files.
    """
    name = output or source.graph.output[0].name
    inner = name not in [v.name for v in source.graph.output]
    if manifest.objective != "softmax" or manifest.classes < 2 or inner:
        return
    x = random_inputs(manifest, np.random.default_rng(20240303))
    feeds = {manifest.input: x, **ones_for(manifest, len(x))}
    out = evaluate({**feeds, contract.TARGET: np.full(len(x), -1, np.int64)})
    if name in out and not _probabilities(out[name], manifest, 1e-2):
        return  # the same output in the gradient graph: no need to run the model as well
    given = _outputs(source, manifest, feeds, name)
    if not _probabilities(given, manifest, 1e-3):
        return
    rows = given.reshape(len(x), -1)
    own = rows[np.arange(len(x)), out[contract.LABEL]]
    if not np.allclose(out[contract.SCORE], own, atol=NEAR[manifest.precision]):
        raise ModelError(
            f"output '{name}' holds probabilities ({own[0]:.3g}), and the value '{manifest.logits}' that was "
            f"taken for their logits gives another score ({out[contract.SCORE][0]:.3g}): name the logits "
            "with output= (on the command line, --logits NAME), which may be any value inside the model"
        )


def _probabilities(given: npt.NDArray[Any], manifest: Manifest, near: float) -> bool:
    """Whether every row holds numbers that are not negative and sum to one."""
    if given.ndim == 0 or given.size != len(given) * manifest.classes or manifest.classes < 2:
        return False
    rows = given.reshape(len(given), -1)
    return bool(rows.min() >= -near and np.allclose(rows.sum(axis=1), 1.0, atol=near))


def _outputs(
    source: onnx.ModelProto, manifest: Manifest, feeds: dict[str, npt.NDArray[Any]], name: str
) -> npt.NDArray[Any]:
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
