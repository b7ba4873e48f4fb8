"""Finds sizes and further inputs at which a model can be verified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import onnx

from fluxpath import manifest as contract
from fluxpath.companions import fillers_for
from fluxpath.errors import ModelError, first_line
from fluxpath.export.artifact import read
from fluxpath.export.verification.inputs import random_inputs
from fluxpath.export.verification.running import runner, serialized
from fluxpath.manifest import Manifest

SIZES = (32, 64, 96, 128, 224, 256, 299, 384, 512)
LENGTHS = (1024, 4096, 16000)
"""What is tried in turn; the second where only one size is open, as that of a sound."""


def with_sizes(graph: onnx.ModelProto, manifest: Manifest) -> Manifest:
    """The manifest with numbers for the sizes that are open, at which the gradient graph runs.

    ModelError where it runs at none of the usual ones.
    """
    open_sizes = manifest.shape.count(None)
    if not open_sizes:
        return manifest
    run = _runner(graph)
    if run is None:
        return _filled(manifest, SIZES[0])
    tried = SIZES + LENGTHS if open_sizes == 1 else SIZES
    reason = ""
    for size in tried:
        filled = _filled(manifest, size)
        failure = run(filled)
        if failure is None:
            return filled
        reason = reason or failure
    sizes = ", ".join("?" if d is None else str(d) for d in manifest.shape)
    raise ModelError(
        f"input '{manifest.input}' has the open sizes [{sizes}], and the model runs with none of "
        f"{', '.join(map(str, tried))} in their place (with {tried[0]}: {reason[:200]}): give the sizes with "
        "shape= (on the command line, --shape)"
    )


def with_fills(graph: onnx.ModelProto, manifest: Manifest) -> Manifest:
    """The manifest with 0 as the fill of those integers beside the input of which the graph takes no 1."""
    indices = [c for c in manifest.companions if c.dtype.startswith("int")]
    run = _runner(graph) if indices else None
    if run is None:
        return manifest
    for zeros in ([], *([c] for c in indices), indices):
        companions = tuple(replace(c, fill=0) if c in zeros else c for c in manifest.companions)
        filled = replace(manifest, companions=companions)
        if run(_filled(filled, SIZES[0])) is None:
            return filled
    return manifest


def images_for(path: Path) -> npt.NDArray[np.float32]:
    """Random inputs at which a written gradient graph with open sizes can be verified."""
    graph, manifest = read(path)
    return random_inputs(with_sizes(graph, manifest), np.random.default_rng(20240229))


def _filled(manifest: Manifest, size: int) -> Manifest:
    companions = tuple(
        replace(c, shape=tuple(size if d is None else d for d in c.shape)) for c in manifest.companions
    )
    shape = tuple(size if d is None else d for d in manifest.shape)
    return replace(manifest, shape=shape, companions=companions)


def _runner(graph: onnx.ModelProto) -> Callable[[Manifest], str | None] | None:
    """What says why the graph does not run at a manifest's sizes; None where ONNX Runtime cannot tell."""
    with TemporaryDirectory() as folder:
        try:
            evaluate = runner(serialized(graph, Path(folder)), graph, quiet=True)
        except Exception:  # ONNX Runtime refuses what the reference takes: verification finds out
            return None

    def run(filled: Manifest) -> str | None:
        x = random_inputs(filled, np.random.default_rng(0))[:1]
        feeds = {filled.input: x, contract.TARGET: np.full(1, -1, np.int64), **fillers_for(filled, 1)}
        names = [contract.SCORE, contract.GRADIENT]
        try:
            results = evaluate(names, feeds)
        except Exception as error:  # whatever a kernel raises
            return first_line(error)
        return None if all(np.isfinite(r).all() for r in results) else "the score is no number"

    return run
