"""The engine's thread ends when nobody needs it: let go, closed, in a forked process, and at exit."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import weakref
from pathlib import Path

import pytest
from sessions import LinearSession, some_images

from fluxpath.errors import ClosedError, FluxpathError
from fluxpath.runtime import MFABA, Explainer, IntegratedGradients, Saliency

TESTS = Path(__file__).resolve().parents[2]
HEAD = """
import os, signal, sys, threading, time
sys.path.insert(0, sys.argv[2])
import numpy as np
from fluxpath.errors import ClosedError
from fluxpath.runtime import Explainer, IntegratedGradients, Saliency
explainer = Explainer(sys.argv[1], threads=2)
images = np.full((8, *explainer.shape), 0.5, np.float32)
long = IntegratedGradients(steps=100_000)
"""


def run(script, graph):
    """Run a script of its own process; its exit status, stdout and stderr."""
    command = [sys.executable, "-c", HEAD + textwrap.dedent(script), str(graph("linear")), str(TESTS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


# --- nobody holds it


def let_go(explainer):
    """Its engine's thread, and a weak reference to what the thread holds."""
    return explainer._driver._loop._thread, weakref.ref(explainer._driver._loop.engine)


def test_an_idle_explainer_that_nobody_holds_goes_away():
    explainers = [Explainer.from_session(LinearSession(), slots=2) for _ in range(5)]
    for explainer in explainers:
        explainer.attribute(some_images(2))
    held = [let_go(explainer) for explainer in explainers]
    del explainers, explainer
    for thread, _ in held:
        thread.join(20)
        assert not thread.is_alive()
    gc.collect()
    assert [engine() for _, engine in held] == [None] * 5


def test_one_that_is_dropped_finishes_what_was_submitted():
    session, gate = LinearSession(), threading.Event()
    session.before_run = lambda: gate.wait(20)
    explainer = Explainer.from_session(session, slots=2)
    thread, _ = let_go(explainer)
    futures = [explainer.submit(some_images(5)) for _ in range(3)]
    del explainer
    gc.collect()
    gate.set()
    assert [len(future.result(20)) for future in futures] == [5, 5, 5]
    thread.join(20)
    assert not thread.is_alive()
    assert len(Explainer.from_session(LinearSession()).submit(some_images(2)).result(20)) == 2
    assert len(Explainer.from_session(LinearSession()).attribute(some_images(2))) == 2


def test_a_closed_one_keeps_no_thread_and_says_closed_also_where_it_was_full():
    session, gate = LinearSession(), threading.Event()
    session.before_run = lambda: gate.wait(20)
    explainer = Explainer.from_session(session, slots=2, max_pending=3)
    future = explainer.submit(some_images(3))
    threading.Timer(0.01, gate.set).start()
    explainer.close()
    assert not explainer._driver._loop._thread.is_alive()
    with pytest.raises(ClosedError):
        future.result(20)
    for _ in range(5):
        with pytest.raises(ClosedError, match="open another"):
            explainer.submit(some_images(3))
        with pytest.raises(ClosedError, match="open another"):
            explainer.attribute(some_images(3))


def test_requests_that_come_while_it_closes_end_too():
    for _ in range(20):
        explainer = Explainer.from_session(LinearSession(), slots=2)
        ended = []

        def call(explainer=explainer, ended=ended):
            try:
                while True:
                    explainer.attribute(some_images(1), 0, Saliency())
            except ClosedError:
                ended.append(True)

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        explainer.close()
        for thread in threads:
            thread.join(20)
        assert len(ended) == 4


def test_a_thread_that_cannot_start_is_a_sentence(monkeypatch):
    def none_left(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    with pytest.raises(FluxpathError, match="gives no thread to the explainer: can't start new thread"):
        Explainer.from_session(LinearSession())


# --- whatever methods and sessions raise


class Leaving(MFABA):
    """Ends the process, or so it thinks."""

    def advance(self, lanes, slots):
        sys.exit(3)


def test_a_method_or_session_that_exits_ends_requests_and_not_the_thread():
    session = LinearSession()
    with Explainer.from_session(session, slots=4) as explainer:
        good, bad = explainer.submit(some_images(3)), explainer.submit(some_images(2), 0, Leaving())
        with pytest.raises(FluxpathError, match=r"raised SystemExit\(3\)"):
            bad.result(20)
        assert len(good.result(20)) == 3

        def leave():
            raise KeyboardInterrupt

        session.before_run = leave
        with pytest.raises(FluxpathError, match=r"raised KeyboardInterrupt\(\)"):
            explainer.attribute(some_images(2))
        session.before_run = lambda: None
        assert len(explainer.attribute(some_images(2), 0, IntegratedGradients(steps=3))) == 2


# --- the end of the process

ENDINGS = {
    "pending": ("futures = [explainer.submit(images, None, long) for _ in range(4)]; time.sleep(0.05)", 0),
    "an exception": ("explainer.submit(images, None, long); time.sleep(0.05); raise SystemExit(7)", 7),
    "callers": (
        """
        for _ in range(3):
            threading.Thread(target=explainer.attribute, args=(images, None, long), daemon=True).start()
        threading.excepthook = lambda given: None
        time.sleep(0.05)
        """,
        0,
    ),
    "a callback": (
        """
        explainer.submit(images).add_done_callback(lambda _: explainer.attribute(images, None, long))
        time.sleep(0.2)
        explainer.submit(images, None, long)
        """,
        0,
    ),
    "a thread": (
        """
        def call():
            try:
                explainer.attribute(images, 0, Saliency())
            finally:
                sys.exit(3)
        threading.Thread(target=call).start()
        explainer.submit(images, None, long)
        """,
        0,
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_process_ends_with_requests_pending(graph, ending):
    script, status = ENDINGS[ending]
    code, _, stderr = run(script, graph)
    assert code == status, stderr
    assert "terminate called" not in stderr
    if ending != "a callback":  # whose error is logged
        assert "Traceback" not in stderr


def test_callbacks_that_were_due_are_called_before_the_process_ends(graph):
    script = """
    for _ in range(3):
        explainer.submit(images, None, long).add_done_callback(lambda f: print(type(f.exception()).__name__))
    time.sleep(0.05)
    """
    assert run(script, graph)[:2] == (0, "ClosedError\n" * 3)


# --- forked processes

NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

FORKED = """
def forked(doing):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            print(doing.__name__, doing(), flush=True)
        except ClosedError as error:
            print(doing.__name__, "forked" if "forked" in str(error) else error, flush=True)
        sys.exit(5)  # runs what Python runs at exit
    for _ in range(2000):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"

def attribute(): return explainer.attribute(images)
def submit(): return explainer.submit(images)
def close(): return explainer.close()
def wait(): return pending.result()
def block():
    with explainer:
        return "left"
def another():
    with Explainer(sys.argv[1], threads=1) as mine:
        return len(mine.attribute(images))
def nothing(): return None

DOINGS = [attribute, submit, close, wait, block, another, nothing]
"""


@NEEDS_FORK
def test_a_forked_process_is_told_and_the_parent_goes_on(graph):
    script = """
    expected = explainer.attribute(images).values
    pending = explainer.submit(images, None, long)
    time.sleep(0.02)
    codes = {forked(doing) for doing in DOINGS}
    assert not pending.done() and pending.cancel()
    assert np.array_equal(explainer.attribute(images).values, expected)
    print(codes)
    """
    code, out, err = run(FORKED + textwrap.dedent(script), graph)
    told = ["attribute forked", "submit forked", "close None", "wait forked", "block left", "another 8"]
    assert (code, out.splitlines()) == (0, [*told, "nothing None", "{5}"]), err


@NEEDS_FORK
def test_multiprocessing_with_fork_is_told_too(graph):
    script = """
    import multiprocessing
    def child(queue):
        try:
            queue.put(len(explainer.attribute(images)))
        except ClosedError as error:
            queue.put(str(error))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    print(queue.get(timeout=20))
    process.join(20)
    print(process.exitcode, len(explainer.attribute(images)))
    """
    code, out, err = run(script, graph)
    assert code == 0 and "of which" not in out, err
    assert "open another in this process" in out and out.endswith("0 8\n")
