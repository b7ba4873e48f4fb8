"""Each side of a comparison in a process of its own, of which one works at a time.

The thread pools of PyTorch (OpenMP) and ONNX Runtime spin for a while when they have nothing to do, and
would take the cores from each other in one process. Here a side that is not asked anything blocks on a pipe.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

from fluxpath.bench.sides import opened
from fluxpath.bench.work import Explained, Facts, LeftOut, Setup, Work
from fluxpath.errors import FluxpathError, first_line

SETTLE = 0.02
"""Seconds between two turns, after which the threads of the last one have stopped spinning."""


class Worker:
    """One side in its own process. Raises what opening it raises: LeftOut, or an error of fluxpath's.

    remark: what the side says that a reader of its figures must know; may be empty.
    """

    def __init__(self, side: str, setup: Setup) -> None:
        self.side = side
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, side, setup), daemon=True)
        with _threads(setup.threads):
            self._process.start()
        theirs.close()
        try:
            self.remark = str(self._received())
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            with suppress(OSError):
                self._connection.send(None)
        else:  # it may be in the middle of something long
            self._process.terminate()
        self._process.join()
        self._connection.close()

    def answer(self, work: Work) -> Explained:
        """Do `work` once and return what came out."""
        found: Explained = self._asked("answer", work)
        return found

    def time(self, work: Work) -> float:
        """Wait until the others are quiet, warm up with a little of `work` and time it, in seconds."""
        time.sleep(SETTLE)
        return float(self._asked("time", work))

    def facts(self, work: Work) -> Facts:
        """What fluxpath's side tells of `work`."""
        found: Facts = self._asked("facts", work)
        return found

    def _asked(self, verb: str, work: Work) -> Any:
        self._connection.send((verb, work))
        return self._received()

    def _received(self) -> Any:
        try:
            found = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            raise LeftOut(f"its process ended ({self._process.exitcode})") from None
        if isinstance(found, Exception):
            raise found
        return found


def apart(work: Callable[..., Any], *arguments: Any, threads: int) -> Any:
    """`work(*arguments)` in a process of its own that ends with it."""
    context: Any = multiprocessing.get_context("spawn")
    with _threads(threads), context.Pool(1, _quiet) as pool:
        return pool.apply(work, arguments)


def _serve(connection: Connection, name: str, setup: Setup) -> None:
    """Answer until told to end, or until the other end of the pipe is gone."""
    _quiet()
    with suppress(EOFError, BrokenPipeError):
        try:
            side = opened(name, setup)
        except Exception as error:
            connection.send(_told(error))
            return
        verbs: dict[str, Callable[[Work], Any]] = {"answer": side.explain}
        verbs["time"] = lambda work: _timed(side, work)
        verbs["facts"] = getattr(side, "facts", side.explain)
        connection.send(getattr(side, "remark", ""))
        while (request := connection.recv()) is not None:
            verb, work = request
            try:
                found = verbs[verb](work)
            except Exception as error:
                found = _told(error)
            connection.send(found)
        close = getattr(side, "close", None)
        if close is not None:
            close()


def _timed(side: Any, work: Work) -> float:
    side.warm(work)
    start = time.perf_counter()
    side.explain(work)
    return time.perf_counter() - start


def _told(error: Exception) -> Exception:
    """The error as the other process can raise it."""
    if isinstance(error, FluxpathError | LeftOut):
        return type(error)(str(error))
    return LeftOut(f"{type(error).__name__}: {first_line(error)}")


def _quiet() -> None:
    """Ctrl-C is the parent's to see, and what libraries warn of is not about the comparison."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """New processes have so many threads of OpenMP's: fluxpath's kernels and PyTorch alike."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(count)
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
