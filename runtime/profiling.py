"""How long a gradient graph's evaluation takes in ONNX Runtime on the CPU: as a whole, and node by node."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from fluxpath.companions import fillers_for
from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.profile import NodeTime, node_times
from fluxpath.runtime.backends.onnx import OnnxSession
from fluxpath.runtime.lanes import Lanes

SECONDS = 1.0
FEWEST, MOST = 3, 200
"""Evaluations of one batch: for so many seconds, but at least and at most so many."""


def timed(
    path: str | os.PathLike[str], batches: Sequence[int], threads: int | None = None
) -> dict[int, float]:
    """Seconds of the fastest evaluation of each batch, after one that does not count, by the batch.

    The fastest, because others' work on the machine only makes evaluations slower. Inputs are noise. Raises
    InputError if the model leaves sizes of its input open.
    """
    session = OnnxSession(path, threads=threads)
    seconds = {}
    for batch in batches:
        _bind(session, batch)
        seconds[batch] = min(_seconds(session, batch))
    return seconds


def profiled(path: str | os.PathLike[str], batch: int, threads: int | None = None) -> list[NodeTime]:
    """What ONNX Runtime measured of each node of the graph, evaluating `batch` samples of noise.

    Its profile is written into a temporary folder and removed. Raises InputError as `timed` does.
    """
    with TemporaryDirectory() as folder:
        session = OnnxSession(path, threads=threads, profile=str(Path(folder) / "profile"))
        try:
            _bind(session, batch)
            _seconds(session, batch)
        finally:
            file = session.end_profile()
        return node_times(file.read_text(encoding="utf-8"))


def slot_bytes(manifest: Manifest) -> int:
    """Bytes that the engine keeps for one slot beside the graph; InputError as in `timed`."""
    sizes, most = sized(manifest), 64  # of many slots, so that arrays of another length are told apart
    companions = {name: (rows.shape[1:], str(rows.dtype)) for name, rows in fillers_for(manifest, 1).items()}
    lanes = Lanes(most, sizes, manifest.low, manifest.high, companions, manifest.classes, manifest.classes)
    return lanes.bytes // most


def leaves_open(manifest: Manifest) -> bool:
    """Whether a size of the input, or of a further one, is open."""
    return any(None in shape for shape in (manifest.shape, *(c.shape for c in manifest.companions)))


def sized(manifest: Manifest) -> tuple[int, ...]:
    """The input's sizes without the batch; InputError if one is open, also of a further input."""
    sizes = tuple(d for d in manifest.shape if d is not None)
    if leaves_open(manifest):
        raise InputError(
            "the model leaves sizes of its input open, on which its cost depends: export it with shape= (on "
            "the command line, --shape)"
        )
    return sizes


def _bind(session: OnnxSession, batch: int) -> None:
    manifest = session.manifest
    fillers = fillers_for(manifest, batch)
    companions = {name: (rows.shape[1:], str(rows.dtype)) for name, rows in fillers.items()}
    lanes = session.make_lanes(batch, sized(manifest), companions)
    noise = np.random.default_rng(0).random(lanes.point.shape, np.float32)
    low, high = (manifest.low, manifest.high) if manifest.low is not None else (0.0, 1.0)
    lanes.point[:] = low + noise * ((1.0 if high is None else high) - low)
    lanes.target[:] = -1
    for name, rows in fillers.items():
        lanes.companions[name][:] = rows
    session.bind(lanes)


def _seconds(session: OnnxSession, batch: int) -> list[float]:
    """Seconds of each evaluation after the first."""
    session.run(batch)
    seconds: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(seconds) < FEWEST or (time.perf_counter() < end and len(seconds) < MOST):
        start = time.perf_counter()
        session.run(batch)
        seconds.append(time.perf_counter() - start)
    return seconds
