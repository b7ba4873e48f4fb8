"""A process that ends, or that nobody waits for any more, costs its side and nothing else."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from models import relu

from fluxpath.artifact import read_manifest
from fluxpath.bench.cold import cold_start
from fluxpath.bench.work import LeftOut, Setup, Work
from fluxpath.bench.workers import Worker, apart
from fluxpath.cli import main
from fluxpath.errors import FluxpathError, InputError
from fluxpath.runtime import Saliency

WORK = Work(None, 0, 1)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    folder = tmp_path_factory.mktemp("workers")
    onnx.save(relu(), folder / "m.onnx")
    graph = folder / "g.onnx"
    assert main(["export", str(folder / "m.onnx"), "-o", str(graph)]) == 0
    manifest = read_manifest(graph)
    np.save(folder / "x.npy", np.zeros((1, *manifest.shape), np.float32))
    return Setup(graph, manifest, None, folder / "x.npy", np.zeros(1, np.int64), 1)


def test_a_side_whose_process_ends_is_left_out_of_whatever_follows(setup: Setup) -> None:
    with Worker("fluxpath", setup) as worker:
        assert worker.answer(WORK)[0].shape == (1, *setup.manifest.shape)
        worker._process.kill()
        worker._process.join()
        for _ in range(3):
            with pytest.raises(FluxpathError, match=r"fluxpath's own side fails: its process ended \(-9\)"):
                worker.time(WORK)
        worker.side = "best"
        for _ in range(3):
            with pytest.raises(LeftOut, match="its process ended"):
                worker.answer(WORK)


def test_what_fluxpaths_own_side_cannot_do_is_an_error_of_fluxpaths(setup: Setup) -> None:
    with Worker("fluxpath", setup) as worker, pytest.raises(FluxpathError, match="own side fails"):
        worker.answer(Work(None, 0, "many"))  # type: ignore[arg-type]


class Interrupted(Worker):
    """Ctrl-C comes while it opens."""

    opening: Any = None

    def _asked(self, *request: Any) -> Any:
        Interrupted.opening = self._process
        raise KeyboardInterrupt


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")
def test_whoever_interrupts_does_not_wait_for_a_side_to_open(setup: Setup) -> None:
    with pytest.raises(KeyboardInterrupt):
        Interrupted("best", replace(setup, make=partial(time.sleep, 15)))
    assert Interrupted.opening.exitcode == -signal.SIGTERM


def wrong() -> None:
    raise InputError("no such thing")


def test_work_apart_fails_as_fluxpath_does() -> None:
    assert apart(divmod, 7, 2, threads=1) == (3, 1)
    with pytest.raises(InputError, match="no such thing"):
        apart(wrong, threads=1)
    with pytest.raises(FluxpathError, match="ZeroDivisionError"):
        apart(divmod, 7, 0, threads=1)
    with pytest.raises(FluxpathError, match=r"its process ended \(3\)"):
        apart(os._exit, 3, threads=1)


def test_a_cold_start_that_fails_says_why(setup: Setup, tmp_path: Path) -> None:
    with pytest.raises(FluxpathError, match=r"a cold start fails: .*there is no gradient graph"):
        cold_start(replace(setup, graph=tmp_path / "none.onnx"), Work(Saliency(), 0, 1), 1)
