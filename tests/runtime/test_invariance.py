"""An image's attribution is its own: order, batch, company, slots and threads of callers change nothing.

Bit for bit as far as fluxpath computes it; ONNX Runtime rounds differently at another batch size, which
the second half of this module measures.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import models
import numpy as np
import pytest
from sessions import LinearSession, some_images
from twins import relative_error

from fluxpath.runtime import MFABA, Attribution, Explainer, NeFLAG

METHODS = [
    MFABA("sharp", step_size=0.02, max_steps=12),
    MFABA("smooth", "left", step_size=0.01, max_steps=12),
    MFABA("sharp", path="norm", step_size=0.03, max_steps=12),
    MFABA("smooth", path="cosine", step_size=0.01, max_steps=12),
    NeFLAG(n=4, radius=0.05, stop="label", max_steps=6, seed=1),
    MFABA("sharp", path="cosine", step_size=0.02, max_steps=12, accumulate=True),
]
FIELDS = ("values", "target", "label", "steps", "status", "score")


def identity(method) -> str:
    return "-".join(str(v) for v in vars(method).values())


def bits(result: Attribution, i: int) -> list[bytes]:
    return [getattr(result, field)[i].tobytes() for field in FIELDS]


@pytest.fixture(scope="module", params=METHODS, ids=identity)
def method(request):
    return request.param


@pytest.fixture(scope="module")
def alone(method):
    """Each image by itself in one slot."""
    with Explainer.from_session(LinearSession(), slots=1) as explainer:
        return [bits(explainer.attribute(image, None, method), 0) for image in some_images(16)]


@pytest.mark.parametrize("slots", [1, 2, 3, 7, 16, 100])
def test_batch_and_slots_change_no_bit(alone, method, slots):
    with Explainer.from_session(LinearSession(), slots=slots) as explainer:
        result = explainer.attribute(some_images(16), None, method)
    assert [bits(result, i) for i in range(16)] == alone


@pytest.mark.parametrize("slots", [3, 16])
def test_order_changes_no_bit(alone, method, slots):
    with Explainer.from_session(LinearSession(), slots=slots) as explainer:
        for seed in range(3):
            order = np.random.default_rng(seed).permutation(16)
            result = explainer.attribute(some_images(16)[order], None, method)
            assert [bits(result, i) for i in range(16)] == [alone[k] for k in order]


@pytest.mark.parametrize("slots", [1, 4, 50])
def test_company_changes_no_bit(alone, method, slots):
    """Other methods, other images and other targets in the slots beside it."""
    session = LinearSession()
    gate = threading.Event()
    session.before_run = lambda: gate.wait(20)
    with Explainer.from_session(session, slots=slots) as explainer:
        before = [explainer.submit(some_images(5, seed=9), 1, other) for other in METHODS]
        mine = explainer.submit(some_images(16), None, method)
        after = [explainer.submit(some_images(5, seed=8), None, other) for other in METHODS]
        gate.set()
        result = mine.result(60)
        for future in before + after:
            future.result(60)
    assert [bits(result, i) for i in range(16)] == alone


def test_many_threads_of_mixed_methods_change_no_bit():
    images = some_images(24)
    with Explainer.from_session(LinearSession(), slots=5) as explainer:
        alone = {m: explainer.attribute(images, None, m) for m in METHODS}

        def caller(k: int) -> None:
            rng = np.random.default_rng(k)
            for _ in range(6):
                method = METHODS[rng.integers(len(METHODS))]
                chosen = rng.permutation(24)[: rng.integers(1, 6)]
                result = explainer.attribute(images[chosen], None, method)
                assert [bits(result, i) for i in range(len(chosen))] == [
                    bits(alone[method], i) for i in chosen
                ]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(caller, range(8)))


# --- on ONNX Runtime


def difference(a: Attribution, i: int, b: Attribution, k: int) -> float:
    assert (a.steps[i], a.status[i], a.target[i]) == (b.steps[k], b.status[k], b.target[k])
    return relative_error(a.values[i], b.values[k])


@pytest.mark.parametrize("name", ["smooth", "relu"])
def test_on_onnxruntime_batch_order_and_company_change_less_than_a_millionth(graph, name, method):
    images = models.images(name, 9)
    with Explainer(graph(name), threads=1, slots=9) as explainer:
        alone = [explainer.attribute(image, None, method) for image in images]
        whole = explainer.attribute(images, None, method)
        futures = [explainer.submit(images[::-1], None, m) for m in (METHODS[0], method, METHODS[4])]
        company = futures[1].result(60)
    with Explainer(graph(name), threads=1, slots=2) as explainer:
        narrow = explainer.attribute(images, None, method)
    worst = max(
        difference(alone[i], 0, other, k)
        for i in range(9)
        for other, k in ((whole, i), (company, 8 - i), (narrow, i))
    )
    print(f"largest relative difference, {name} model, {identity(method)}: {worst:.1e}")
    assert worst < 1e-6


def test_on_onnxruntime_many_threads_agree(graph):
    images = models.images("smooth", 12)
    with Explainer(graph("smooth"), threads=1, slots=6) as explainer:
        alone = {m: explainer.attribute(images, None, m) for m in METHODS}

        def caller(k: int) -> float:
            rng = np.random.default_rng(k)
            worst = 0.0
            for _ in range(5):
                method = METHODS[rng.integers(len(METHODS))]
                chosen = rng.permutation(12)[: rng.integers(1, 5)]
                result = explainer.attribute(images[chosen], None, method)
                worst = max(worst, *(difference(result, i, alone[method], k) for i, k in enumerate(chosen)))
            return worst

        with ThreadPoolExecutor(8) as pool:
            worst = max(pool.map(caller, range(8)))
    print(f"largest relative difference between threads: {worst:.1e}")
    assert worst < 1e-6
