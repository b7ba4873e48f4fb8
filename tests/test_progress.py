"""Long runs say how far they are: by a bar where somebody looks on, by lines where it goes to a file."""

from __future__ import annotations

import io
import re
import sys
import threading
import time
import types
import warnings

import pytest

from fluxpath import progress
from fluxpath.progress import Progress

PATIENT = 20.0
"""Seconds that a test waits for what comes at once."""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def quick(monkeypatch):
    """So that what comes after seconds comes at once."""
    for name in ("PATIENCE", "EVERY", "REFRESH"):
        monkeypatch.setattr(progress, name, 0.01)


def until(ready) -> None:
    end = time.monotonic() + PATIENT
    while not ready() and time.monotonic() < end:
        time.sleep(0.005)
    assert ready()


def test_a_file_gets_lines_also_while_nothing_ends(monkeypatch, quick):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    with Progress(4, "image", "attributing") as shown:
        until(lambda: out.getvalue().count("\n") > 1)
        shown.update()
        shown.reach(2)
        until(lambda: "2 of 4" in out.getvalue())
    lines = out.getvalue().splitlines()
    assert re.fullmatch(r"fluxpath: attributing: 0 of 4 images after \d+ s", lines[0])
    assert re.fullmatch(r"fluxpath: attributing: 2 of 4 images, [\d.e+]+ images/s, \d+ s left", lines[-1])
    time.sleep(0.05)
    assert out.getvalue().splitlines() == lines, "nothing is said after the end"


def test_a_terminal_gets_a_bar_also_while_nothing_ends(monkeypatch, quick):
    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    with Progress(4, "image", "attributing"):
        until(lambda: "attributing:   0%" in out.getvalue())
    assert "\n" not in out.getvalue() and out.getvalue().endswith("\r"), "the bar is gone"


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_a_short_run_says_nothing(monkeypatch, stream):
    out = stream()
    monkeypatch.setattr(sys, "stderr", out)
    with Progress(2, "image") as shown:
        shown.update(2)
    assert out.getvalue() == ""


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_who_wants_to_hear_nothing_hears_nothing(monkeypatch, quick, stream):
    out = stream()
    monkeypatch.setattr(sys, "stderr", out)
    before = threading.active_count()
    with Progress(2, "image", show=False) as shown:
        shown.doing("x")
        shown.update(2)
        assert threading.active_count() == before
    assert out.getvalue() == ""


def test_without_a_standard_error_nothing_fails(monkeypatch, quick):
    monkeypatch.setattr(sys, "stderr", None)
    with Progress(2, "image") as shown:
        shown.update()


def test_a_reader_that_has_gone_stops_no_run(monkeypatch, quick):
    class Gone(io.StringIO):
        tried = 0

        def write(self, text):
            Gone.tried += 1
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stderr", Gone())
    with Progress(2, "image"):
        until(lambda: Gone.tried > 1)


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_an_error_ends_the_thread(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream())
    before = threading.active_count()
    with pytest.raises(RuntimeError, match="broke"), Progress(2, "image"):
        raise RuntimeError("broke")
    assert threading.active_count() == before


def test_an_unknown_number_has_no_time_left(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with Progress(None, "image") as unknown, Progress(10_000, "image", "x") as known:
        now[0] += 20
        assert unknown.line() == "0 images after 20 s"
        unknown.update(50), known.update(50)
        assert unknown.line() == "50 images, 2.5 images/s"
        assert known.line() == "x: 50 of 10000 images, 2.5 images/s, 1 h 6 min left"
        known.reach(9000)
        assert known.line() == "x: 9000 of 10000 images, 450 images/s, 2 s left"
        now[0] += 980
        assert known.line() == "x: 9000 of 10000 images, 9 images/s, 1 min 51 s left"


def test_a_notebook_gets_a_bar_and_no_warning(monkeypatch, quick):
    """Its standard error is no terminal; without ipywidgets the bar is one of text."""
    out = io.StringIO()
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "ipykernel.zmqshell", types.ModuleType("zmqshell"))  # tqdm's own sign
    for name in ("tqdm.auto", "tqdm.autonotebook", "tqdm.notebook"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.setattr(sys, "stderr", out)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with Progress(4, "image", "attributing"):
            until(lambda: "attributing:   0%" in out.getvalue())
    assert [str(warning.message) for warning in said] == []


def test_a_script_beside_ipython_is_no_notebook(monkeypatch, quick):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert not progress._in_notebook()


def test_stages_that_are_not_alike_have_no_rate(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with (
        Progress(3, "stage", "reading", alike=False) as stages,
        Progress(None, "model", "opening x", alike=False) as one,
    ):
        now[0] += 75
        stages.update()
        stages.doing("verifying")
        assert stages.line() == "verifying: 1 of 3 stages done, 1 min 15 s so far"
        assert one.line() == "opening x: 1 min 15 s so far"


def test_the_bar_of_such_stages_has_none_either(monkeypatch, quick):
    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    with Progress(3, "stage", "verifying", alike=False):
        until(lambda: "verifying: 0 of 3 stages done, 00:00" in out.getvalue())
    with Progress(None, "model", "opening", alike=False):
        until(lambda: "opening: 00:00" in out.getvalue())
    assert "?" not in out.getvalue()
