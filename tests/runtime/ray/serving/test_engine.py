"""An engine without Ray Serve: answers, errors as values, and when a model is closed."""

from __future__ import annotations

import asyncio

import models
import numpy as np
import pytest

from fluxpath.errors import ClosedError, FluxpathError
from fluxpath.runtime import MFABA, Explainer
from fluxpath.runtime.ray.serving.engine import Engine, Held

IMAGES = models.images("smooth", 3)


@pytest.fixture
def engine(graph):
    made = Engine.__new__(Engine)
    made._replica = "r"
    with Explainer(graph("smooth")) as explainer:
        made._all = {"smooth:1": Held(explainer)}
        yield made


def done(engine, what, **given):
    return asyncio.run(engine.do("smooth:1", what, given))


def test_answers(engine, smooth):
    answer = done(engine, "submit", images=IMAGES, method=MFABA())
    assert answer.error is None and answer.replica == "r" and answer.stats.done == 1
    np.testing.assert_array_equal(answer.value.arrays["values"], smooth.attribute(IMAGES).values)
    np.testing.assert_array_equal(
        done(engine, "predict", photos=IMAGES).value.logits, smooth.predict(IMAGES).logits
    )
    engine.check_health()


def test_errors_are_values(engine):
    answer = done(engine, "submit", images=IMAGES, method=MFABA(), target=99)
    assert isinstance(answer.error, FluxpathError) and "99" in str(answer.error)
    assert str(done(engine, "submit", images=IMAGES).error).startswith("KeyError")


def test_cancelling_frees_the_lanes(engine):
    async def cancelled():
        slow = {"images": IMAGES, "method": MFABA(step_size=1e-7, max_steps=10**6)}
        task = asyncio.create_task(engine.do("smooth:1", "submit", slow))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        explainer = engine._all["smooth:1"].explainer
        while explainer.stats().images:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(cancelled(), 10))


def test_a_model_that_is_put_away_is_closed_after_its_last_request(graph):
    explainer = Explainer(graph("smooth"))
    held = Held(explainer)
    with held:
        held.__del__()
        explainer.attribute(IMAGES)
    with pytest.raises(ClosedError):
        explainer.attribute(IMAGES)
