"""Says how far a long run is: a bar on a terminal or in a notebook, elsewhere a line now and then."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

PATIENCE = 1.0
"""Seconds for which nothing is said: most runs end before."""
EVERY = 10.0
"""Seconds until the first line, and from one to the next."""
REFRESH = 0.5
"""Seconds from one look at a bar to the next, so that its clock runs while nothing ends."""


class Progress:
    """A context manager around a run of `total` things (None: unknown), each a `unit`, as in "image".

    doing: what is done, in a word or two. show: False says nothing at all. alike: whether each takes as long
    as the next; if not, as the stages of an export, nothing is said of their rate and the time left.

    A thread of its own speaks, so that it is heard also while a single thing takes long. On a terminal and in
    a notebook it moves a bar, which is gone at the end. Where standard error is neither, as in a file or a
    service's log, it writes a line every ten seconds, with the rate and the time left.
    """

    def __init__(
        self, total: int | None, unit: str, doing: str = "", show: bool = True, alike: bool = True
    ) -> None:
        self._alike = alike
        self._total, self._unit, self._doing = total, unit, doing
        self._stream = sys.stderr if show else None
        self._done = 0
        self._bar: Any = None
        self._over: SimpleQueue[None] = SimpleQueue()
        self._refreshed = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        if self._stream is None:
            return self
        self._begin = time.monotonic()
        notebook = _in_notebook()
        speak = self._lines
        if notebook or self._stream.isatty():
            self._bar, speak = self._opened(notebook), self._refresh
        self._thread = threading.Thread(target=speak, daemon=True, name="fluxpath progress")
        with suppress(RuntimeError):  # no more threads: it is not worth an error
            self._thread.start()
        return self

    def update(self, count: int = 1) -> None:
        """`count` more things are done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(count)

    def reach(self, done: int) -> None:
        """So many things are done by now."""
        self.update(done - self._done)

    def doing(self, what: str) -> None:
        """What is done from now on."""
        self._doing = what
        if self._bar is not None:
            self._bar.set_description(what, refresh=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.put(None)
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
        if self._bar is not None:
            if self._refreshed:  # tqdm clears only what its own updates have shown
                self._bar.clear()
            self._bar.close()

    def _opened(self, notebook: bool) -> Any:
        if notebook:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that there are no widgets: then it is a bar of text
                from tqdm.auto import tqdm
        else:
            from tqdm import tqdm
        settings: dict[str, Any] = {}
        if not self._alike:
            several = "" if self._total in (None, 1) else "{n_fmt} of {total_fmt}{unit} done, "
            settings["bar_format"] = f"{{desc}}: {several}{{elapsed}}"
        return tqdm(
            total=self._total,
            unit=f" {self._unit}s",
            desc=self._doing or None,
            delay=PATIENCE,
            leave=False,
            **settings,
        )

    def _refresh(self) -> None:
        pause = PATIENCE
        while self._waited(pause):
            self._refreshed = True
            self._bar.refresh()
            pause = REFRESH

    def _lines(self) -> None:
        while self._waited(EVERY):
            with suppress(OSError, ValueError):  # a reader that has gone, a stream that is closed
                print(f"fluxpath: {self.line()}", file=self._stream, flush=True)

    def _waited(self, seconds: float) -> bool:
        """Whether the run goes on after so many seconds."""
        try:
            self._over.get(timeout=seconds)
        except Empty:
            return True
        return False

    def line(self) -> str:
        """How far the run is, as in "120 of 500 images, 12.3 images/s, 31 s left"."""
        elapsed = max(time.monotonic() - self._begin, 1e-9)
        what = f"{self._doing}: " if self._doing else ""
        of = "" if self._total is None else f" of {self._total}"
        if not self._alike:
            several = "" if self._total in (None, 1) else f"{self._done}{of} {self._unit}s done, "
            return f"{what}{several}{_duration(elapsed)} so far"
        if not self._done:
            return f"{what}{self._done}{of} {self._unit}s after {_duration(elapsed)}"
        rate = self._done / elapsed
        text = f"{what}{self._done}{of} {self._unit}s, {rate:.3g} {self._unit}s/s"
        if self._total is None:
            return text
        return f"{text}, {_duration(max(0, self._total - self._done) / rate)} left"


def _duration(seconds: float) -> str:
    """As in "31 s", "6 min 32 s" and "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, whose standard error is no terminal."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())
