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
from typing import Any, Self

from fluxpath.bench.sides import FLUXPATH, opened
from fluxpath.bench.work import Explained, Facts, LeftOut, Setup, Work
from fluxpath.errors import FluxpathError, first_line

SETTLE = 0.02
"""Seconds between two turns, after which the threads of the last one have stopped spinning."""

FAILURES = (Exception, SystemExit)
"""What a side is left out for: a user's module may end the program, too."""


class _Apart:
    """A process of its own at the other end of a pipe; left at an error, it ends whatever it does."""

    def __init__(self, work: Callable[..., None], arguments: tuple[Any, ...], threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(theirs, *arguments), daemon=True)
        with _threads(threads):
            self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            with suppress(OSError):
                self._connection.send(None)
        else:
            self._process.terminate()
        self._process.join()
        self._connection.close()

    def _asked(self, *request: Any) -> Any:
        """What comes back, to a request if there is one; LeftOut where the process has ended."""
        try:
            if request:
                self._connection.send(request)
            found = self._connection.recv()
        except (EOFError, OSError):
            self._process.join()
            raise LeftOut(f"its process ended ({self._process.exitcode})") from None
        if isinstance(found, Exception):
            raise found
        return found


class Worker(_Apart):
    """One side in its own process.

    Everything that it is asked, opening it too, raises LeftOut for what it cannot do, and fluxpath's own
    errors; FluxpathError for whatever fluxpath's own side cannot do, without which nothing is compared.
    remark: what the side says that a reader of its figures must know; may be empty.
    """

    def __init__(self, side: str, setup: Setup) -> None:
        super().__init__(_serve, (side, setup), setup.threads)
        self.side = side
        try:
            self.remark = str(self._asked())
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise

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

    def _asked(self, *request: Any) -> Any:
        try:
            return super()._asked(*request)
        except LeftOut as error:
            if self.side == FLUXPATH:
                raise FluxpathError(f"fluxpath's own side fails: {error}") from None
            raise


def apart(work: Callable[..., Any], *arguments: Any, threads: int) -> Any:
    """`work(*arguments)` in a process of its own that ends with it; FluxpathError where it fails."""
    try:
        with _Apart(_once, (work, arguments), threads) as child:
            return child._asked()
    except LeftOut as error:
        raise FluxpathError(f"fluxpath's own side fails: {error}") from None


def _once(connection: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    _quiet()
    with suppress(BrokenPipeError):
        try:
            found = work(*arguments)
        except FAILURES as error:
            found = _told(error)
        connection.send(found)


def _serve(connection: Connection, name: str, setup: Setup) -> None:
    """Answer until told to end, or until the other end of the pipe is gone."""
    _quiet()
    with suppress(EOFError, BrokenPipeError):
        try:
            side = opened(name, setup)
        except FAILURES as error:
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
            except FAILURES as error:
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


def _told(error: BaseException) -> Exception:
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
