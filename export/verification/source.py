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
from fluxpath.export.verification.running import evaluator, reference, runner, serialized
from fluxpath.manifest import Manifest

NEAR = {"float32": 1e-3, "float16": 3e-2, "bfloat16": 2e-1}
"""How far a score may be from the model's own probability, by the precision of the graph."""


def check_probabilities(
    source: onnx.ModelProto, artifact: onnx.ModelProto, manifest: Manifest, output: str | None
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
    given = _outputs(source, manifest, feeds, name)
    rows = given.reshape(len(x), -1) if given.size == len(x) * manifest.classes else np.zeros((1, 1))
    if rows.min() < -1e-6 or not np.allclose(rows.sum(axis=1), 1.0, atol=1e-3) or rows.shape[1] == 1:
        return
    out = evaluator(artifact)({**feeds, contract.TARGET: np.full(len(x), -1, np.int64)})
    own = rows[np.arange(len(x)), out[contract.LABEL]]
    if not np.allclose(out[contract.SCORE], own, atol=NEAR[manifest.precision]):
        raise ModelError(
            f"output '{name}' holds probabilities ({own[0]:.3g}), and the value '{manifest.logits}' that was "
            f"taken for their logits gives another score ({out[contract.SCORE][0]:.3g}): name the logits "
            "with output= (on the command line, --logits NAME), which may be any value inside the model"
        )


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
