"""What becomes of requests when a caller is interrupted, the engine closes or the backend fails."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest
from sessions import LinearSession, explain, some_images

from fluxpath.errors import ClosedError
from fluxpath.runtime import AGI, BIG, MFABA, Explainer, IntegratedGradients, NeFLAG, Saliency, SmoothGrad

SHARP = MFABA("sharp", step_size=0.02, max_steps=12)
COSINE = MFABA("sharp", path="cosine", step_size=0.02, max_steps=12)


def test_submit_after_close(graph):
    explainer = Explainer(graph("linear"), threads=1)
    explainer.close()
    explainer.close()
    with pytest.raises(ClosedError, match="the explainer is closed: open another"):
        explainer.submit(np.full((1, 1, 6, 6), 0.5, np.float32))


def test_close_with_work_pending():
    session, entered, gate = LinearSession(), threading.Event(), threading.Event()

    def hold():
        entered.set()
        assert gate.wait(20)

    session.before_run = hold
    explainer = Explainer.from_session(session, slots=2)
    running = explainer.submit(some_images(5))
    assert entered.wait(20)
    waiting = explainer.submit(some_images(1), None, NeFLAG(n=2))
    closing = threading.Thread(target=explainer.close)
    closing.start()
    while explainer._driver._loop.closed is None:  # close() is now waiting for the tick that runs
        closing.join(0.001)
    gate.set()
    closing.join(20)
    assert not closing.is_alive()
    for future in (running, waiting):
        with pytest.raises(ClosedError, match="closed before the attribution was done"):
            future.result(20)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system sends no signals to threads")
@pytest.mark.parametrize("kind", [TimeoutError, KeyboardInterrupt])
def test_a_signal_that_interrupts_a_caller_ends_its_request_alone(kind):
    session, entered, gate = LinearSession(), threading.Event(), threading.Event()

    def hold():
        entered.set()
        assert gate.wait(20)

    def ring():
        while explainer._pending._count < 9:  # the main thread hands over its request, or waits for it
            ringing.wait(0.001)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    ringing = threading.Event()

    def handler(*_):
        raise kind("the worker's time is over")

    session.before_run = hold
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with Explainer.from_session(session, slots=2, max_pending=9) as explainer:
            other = explainer.submit(some_images(3), None, COSINE)
            assert entered.wait(20)
            threading.Thread(target=ring).start()
            with pytest.raises(kind, match="the worker's time is over"):
                explainer.attribute(some_images(6), None, COSINE)
            waiting = explainer.submit(some_images(6), None, COSINE)  # there is room again
            gate.set()
            assert len(other.result(20)) == 3 and len(waiting.result(20)) == 6
    finally:
        signal.signal(signal.SIGUSR1, before)
    # Nothing of the interrupted request was evaluated.
    assert sum(session.counts) == sum((f.result().steps + 1).sum() for f in (other, waiting))


def test_a_method_can_close_the_explainer_on_whose_thread_it_runs():
    class Closing(Saliency):
        def advance(self, lanes, slots):
            explainer.close()
            super().advance(lanes, slots)

    session, gate = LinearSession(), threading.Event()
    session.before_run = lambda: gate.wait(20)
    explainer = Explainer.from_session(session, slots=2)
    first, second = explainer.submit(some_images(1), 0, Closing()), explainer.submit(some_images(4), 0, SHARP)
    gate.set()
    assert len(first.result(20)) == 1
    with pytest.raises(ClosedError):
        second.result(20)
    explainer.close()


def test_a_session_that_raises_fails_all_who_wait_and_nobody_after():
    session, entered, gate = LinearSession(), threading.Event(), threading.Event()
    runs = []

    def hold_then_raise():
        runs.append(1)
        if len(runs) == 1:
            entered.set()
            assert gate.wait(20)
        if len(runs) == 2:
            raise OSError("the device is gone")

    session.before_run = hold_then_raise
    with Explainer.from_session(session, slots=2) as explainer:
        futures = [explainer.submit(some_images(5, seed=3), None, COSINE)]
        assert entered.wait(20)
        futures += [explainer.submit(some_images(3), None, m) for m in (SHARP, NeFLAG(n=2))]
        gate.set()
        for future in futures:
            with pytest.raises(OSError, match="the device is gone"):
                future.result(20)
        session.counts.clear()
        after = explainer.attribute(some_images(3), None, COSINE)
    assert sum(session.counts) == (after.steps + 1).sum()
    assert after.values.tobytes() == explain(LinearSession(), some_images(3), COSINE, 2).values.tobytes()


def test_mixed_load_from_many_threads_equals_one_by_one():
    methods = [
        SHARP,
        NeFLAG(n=3, radius=0.05, max_steps=4, seed=1),
        IntegratedGradients(steps=4),
        SmoothGrad(n=3, variant="variance"),
        AGI(classes=2, max_steps=4),
        BIG(max_steps=6, bisections=2, integration_steps=3),
    ]
    images, rng = some_images(40), np.random.default_rng(3)
    jobs = [(rng.integers(40, size=rng.integers(1, 4)), methods[rng.integers(6)]) for _ in range(500)]
    with Explainer.from_session(LinearSession(), slots=1) as explainer:
        alone = {
            (m, i): explainer.attribute(images[i], None, m).values.tobytes()
            for m in methods
            for i in range(40)
        }
    results = {}

    def caller(first):
        for k in range(first, 500, 16):
            rows, method = jobs[k]
            wanted = explainer.attribute if k % 2 else lambda *a: explainer.submit(*a).result()
            results[k] = wanted(images[rows], None, method).values

    with Explainer.from_session(LinearSession(), slots=7) as explainer:
        threads = [threading.Thread(target=caller, args=(k,)) for k in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(results) == 500
    for k, (rows, method) in enumerate(jobs):
        assert [v.tobytes() for v in results[k]] == [alone[method, int(i)] for i in rows]
