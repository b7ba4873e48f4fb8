"""An engine without Ray Serve: answers, errors as values, and when a model is closed."""

from __future__ import annotations

import asyncio
import shutil
import sys
from types import SimpleNamespace

import models
import numpy as np
import pytest

from fluxpath.artifact import read_identified
from fluxpath.errors import ArtifactError, ClosedError, FluxpathError
from fluxpath.runtime import MFABA, Explainer
from fluxpath.runtime.ray.serving.engine import Engine, Held

IMAGES = models.images("smooth", 3)


@pytest.fixture
def engine_of(monkeypatch):
    """`engine_of({name: file}, most)`, where Ray Serve keeps all models that it has loaded."""
    made = []

    def multiplexed(load, max_num_models_per_replica):
        kept = {}

        async def loaded(key):
            if key not in kept:
                kept[key] = await load(key)
            return kept[key]

        loaded.kept = kept
        return loaded

    context = SimpleNamespace(replica_id=SimpleNamespace(unique_id="r"))
    serve = SimpleNamespace(get_replica_context=lambda: context, multiplexed=multiplexed)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(serve=serve))

    def engine_of(files, most):
        made.append(Engine({key: (str(f), read_identified(f)[1]) for key, f in files.items()}, {}, most))
        return made[-1]

    yield engine_of
    for engine in made:
        for held in [*(engine._all or {}).values(), *engine._load.kept.values()]:
            held.explainer.close()


@pytest.fixture
def engine(engine_of, graph):
    return engine_of({"smooth:1": graph("smooth")}, 1)


def done(engine, what, **given):
    return asyncio.run(engine.do("smooth:1", what, given))


def test_answers(engine, smooth):
    answer = done(engine, "submit", images=IMAGES, method=MFABA())
    assert answer.error is None and answer.replica == "r" and answer.stats.done == 1
    np.testing.assert_array_equal(answer.value.arrays["values"], smooth.attribute(IMAGES).values)
    np.testing.assert_array_equal(
        done(engine, "predict", photos=IMAGES).value.logits, smooth.predict(IMAGES).logits
    )
    asyncio.run(engine.check_health())


def test_an_engine_that_takes_nothing_is_told(engine):
    engine._all["smooth:1"].explainer.close()
    with pytest.raises(ClosedError, match="takes no more requests"):
        asyncio.run(engine.check_health())


def test_of_models_that_take_turns_only_those_that_are_held_must_work(engine_of, graph):
    engine = engine_of({"smooth:1": graph("smooth"), "relu:1": graph("relu")}, 1)
    asyncio.run(engine.check_health())
    for name in ("smooth", "relu"):
        photos = models.images(name, 1)
        assert asyncio.run(engine.do(f"{name}:1", "predict", {"photos": photos})).error is None
    away, held = engine._load.kept.values()
    away.__del__()
    asyncio.run(engine.check_health())
    held.explainer.close()
    with pytest.raises(ClosedError):
        asyncio.run(engine.check_health())


@pytest.mark.parametrize("most", [1, 2])
def test_another_file_than_the_servers_answers_nothing(engine_of, graph, tmp_path, most):
    """Of another machine, or in the same place since: of the same shape and classes."""
    path = tmp_path / "m.grad.onnx"
    shutil.copy(graph("smooth"), path)
    engine = engine_of({"m:1": path, "n:1": graph("relu")}, most)
    answer = asyncio.run(engine.do("m:1", "predict", {"photos": IMAGES}))
    assert answer.error is None
    shutil.copy(graph("relu"), path)
    models, wanted = dict(engine._models), "is not the file that the application was started with"
    if most == 2:
        with pytest.raises(ArtifactError, match=wanted):
            Engine(models, {}, most)
    else:
        answer = asyncio.run(Engine(models, {}, most).do("m:1", "predict", {"photos": IMAGES}))
        assert isinstance(answer.error, ArtifactError) and wanted in str(answer.error)


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
