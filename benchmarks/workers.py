"""Each side of a comparison in a process of its own, of which one works at a time.

The thread pools of PyTorch (OpenMP) and ONNX Runtime spin for a while when they have nothing to do, and
would take the cores from each other in one process. Here a side that is not asked anything blocks on a pipe.
"""

from __future__ import annotations

import atexit
import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

SETTLE = 0.02
"""Seconds between two turns, after which the threads of the last one have stopped spinning."""

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Ascent = Literal["sharp", "smooth"]


@dataclass(frozen=True)
class Setup:
    """What a side is built from: the gradient graph, the torch weights (None: random), the images."""

    graph: Path
    model: Path | None
    images: Floats
    targets: Integers
    threads: int


@dataclass(frozen=True)
class Work:
    """MFABA with the trapezoid rule on images `first`, `first` + 1, ... `last` - 1."""

    ascent: Ascent
    first: int
    last: int
    max_steps: int = 50
    batch: int = 32
    """How many images walk at a time in an eager loop."""
    channels_last: bool = False
    """The memory order of the best eager loop."""


@dataclass(frozen=True)
class Answer:
    """Seconds it took, attributions [n, c, h, w] and steps [n]."""

    seconds: float
    values: Floats
    steps: Integers


Explain = Callable[[Work], tuple[Floats, Integers]]


class Builder(Protocol):
    """Builds a side within its process."""

    def __call__(self, setup: Setup) -> Explain:
        """The function that is timed."""
        ...


def fluxpath_side(setup: Setup) -> Explain:
    """fluxpath as a user has it: an Explainer with its default settings."""
    from fluxpath.runtime import MFABA, Explainer

    explainer = Explainer(setup.graph, threads=setup.threads)
    atexit.register(explainer.close)

    def explain(work: Work) -> tuple[Floats, Integers]:
        part = slice(work.first, work.last)
        method = replace(MFABA.published(work.ascent), rule="trapezoid", max_steps=work.max_steps)
        result = explainer.attribute(setup.images[part], setup.targets[part], method)
        return result.values, result.steps.astype(np.int64)

    return explain


def published_side(setup: Setup) -> Explain:
    """The published code's way, in batches, on the module as it was trained."""
    return _published(setup, folded=False)


def folded_side(setup: Setup) -> Explain:
    """The same with the batch normalisations folded into the convolutions, as the exporter does."""
    return _published(setup, folded=True)


def _published(setup: Setup, folded: bool) -> Explain:
    import torch

    from benchmarks import eager, resnet20

    torch.set_num_threads(setup.threads)
    plain = resnet20.random() if setup.model is None else resnet20.from_onnx(setup.model)
    model = plain if folded else resnet20.with_batchnorm(plain)
    images, targets = torch.from_numpy(setup.images), torch.from_numpy(setup.targets)

    def explain(work: Work) -> tuple[Floats, Integers]:
        parts = [
            slice(first, min(first + work.batch, work.last))
            for first in range(work.first, work.last, work.batch)
        ]
        results = [
            eager.explain(model, images[p], targets[p], work.ascent, max_steps=work.max_steps) for p in parts
        ]
        values, steps = (torch.cat(column) for column in zip(*results, strict=True))
        return values.numpy(), steps.numpy()

    return explain


def best_side(setup: Setup) -> Explain:
    """The best eager loop."""
    import torch

    from benchmarks import eager, resnet20

    torch.set_num_threads(setup.threads)
    model = resnet20.random() if setup.model is None else resnet20.from_onnx(setup.model)
    copies = {order: eager.fast_copy(model, order) for order in (False, True)}
    images, targets = torch.from_numpy(setup.images), torch.from_numpy(setup.targets)

    def explain(work: Work) -> tuple[Floats, Integers]:
        part = slice(work.first, work.last)
        values, steps = eager.best_eager(
            copies[work.channels_last],
            images[part],
            targets[part],
            work.ascent,
            max_steps=work.max_steps,
            batch=work.batch,
            channels_last=work.channels_last,
        )
        return values.numpy(), steps.numpy()

    return explain


SIDES: dict[str, Builder] = {
    "fluxpath": fluxpath_side,
    "published": published_side,
    "folded": folded_side,
    "best": best_side,
}


class Worker:
    """One side in its own process."""

    def __init__(self, side: str, setup: Setup) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, side, setup), daemon=True)
        self._process.start()
        theirs.close()
        self._connection.recv()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.is_alive():
            self._connection.send(None)
        self._process.join()

    def answer(self, work: Work) -> Answer:
        """Do `work` once and return what came out."""
        self._connection.send((work, True))
        answer = self._connection.recv()
        assert isinstance(answer, Answer)
        return answer

    def time(self, work: Work) -> float:
        """Wait until the others are quiet, warm up with a step of `work` and time it, in seconds."""
        time.sleep(SETTLE)
        self._connection.send((work, False))
        return float(self._connection.recv())


def _serve(connection: Connection, side: str, setup: Setup) -> None:
    """Answer until told to end, or until the other end of the pipe is gone."""
    explain = SIDES[side](setup)
    connection.send("ready")
    with suppress(EOFError):
        while (request := connection.recv()) is not None:
            work, wanted = request
            explain(replace(work, last=min(work.last, work.first + work.batch), max_steps=1))
            start = time.perf_counter()
            values, steps = explain(work)
            seconds = time.perf_counter() - start
            connection.send(Answer(seconds, values, steps) if wanted else seconds)
