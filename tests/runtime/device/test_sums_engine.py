"""Images of many lanes on a device: added up there, to the bit as on the host, and one row comes down."""

from __future__ import annotations

from dataclasses import dataclass

import models
import numpy as np
import pytest
from cuda_on_cpu import HostDevice
from sessions import FEATURES, DeviceLinear, LinearSession, some_images
from uneven import TERMS, Uneven, in_order

from fluxpath.runtime import LPI, MFABA, ExpectedGradients, Explainer, IntegratedGradients, NeFLAG, SmoothGrad
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request
from fluxpath.runtime.lanes import Lanes

RULES = ("trapezoid", "left", "right", "middle", "gauss-legendre")
VARIANTS = ("mean", "squared", "variance")
RNG = np.random.default_rng(5)
REFERENCES = RNG.random((3, FEATURES)).astype(np.float32)
STRAIGHT = [
    *(IntegratedGradients(steps=7, rule=rule) for rule in RULES),
    IntegratedGradients(steps=4, baseline=REFERENCES[0]),
    ExpectedGradients(REFERENCES, n=9, seed=2**33),
    LPI(REFERENCES, densities=[1.0, 2.0, 5.0], steps=4, seed=3),
    LPI(REFERENCES, rule="middle"),
]
METHODS = [
    *STRAIGHT,
    *(SmoothGrad(n=6, variant=variant, sigma=0.1) for variant in VARIANTS),
    SmoothGrad(n=1),
    NeFLAG(n=7, max_steps=5, stop="label", radius=0.05),
]
FIELDS = ("target", "label", "steps", "status", "score", "values")


def bits(result, image=None):
    chosen = slice(None) if image is None else image
    return [getattr(result, field)[chosen].tobytes() for field in FIELDS]


@pytest.fixture
def added_by_the_host(monkeypatch):
    """From here on every lane's row is copied to the host, to be added there."""
    return lambda: monkeypatch.setattr(DeviceLanes, "gathering", Lanes.gathering)


@pytest.mark.parametrize("target", [None, 1])
@pytest.mark.parametrize("method", STRAIGHT, ids=repr)
def test_the_engine_gives_the_hosts_bits(method, target):
    """Where the lanes' own arithmetic is the same to the bit, on either, all of it is."""
    with (
        Explainer.from_session(DeviceLinear(), slots=4) as there,
        Explainer.from_session(LinearSession(), slots=4) as here,
    ):
        images = some_images(3)
        assert bits(there.attribute(images, target, method)) == bits(here.attribute(images, target, method))


@pytest.mark.parametrize("target", [None, 1])
def test_added_there_or_copied_and_added_here(added_by_the_host, target):
    """All methods at once, walks of one lane among them, so that lanes end late, early and moved."""

    def all_at_once(session):
        with Explainer.from_session(session, slots=5) as explainer:
            company = [MFABA(step_size=0.02, max_steps=9), MFABA("smooth", step_size=0.01, max_steps=12)]
            futures = [explainer.submit(some_images(3, seed=k), target, m) for k, m in enumerate(METHODS)]
            futures += [explainer.submit(some_images(6, seed=9), None, m) for m in company]
            return [future.result(120) for future in futures]

    there, here = all_at_once(DeviceLinear()), all_at_once(LinearSession())
    for given, expected in zip(there, here, strict=True):
        for name in ("target", "label", "steps", "status"):
            np.testing.assert_array_equal(getattr(given, name), getattr(expected, name))
        # Norms and normals may differ in their last digit between the two.
        np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)
    added_by_the_host()
    assert [bits(r) for r in there] == [bits(r) for r in all_at_once(DeviceLinear())]


@pytest.mark.parametrize("slots", [1, 3, 8, 40])
def test_batch_and_slots_change_no_bit(slots):
    methods, images = [IntegratedGradients(steps=5), SmoothGrad(n=5, variant="variance"), METHODS[-1]], 4
    with Explainer.from_session(DeviceLinear(), slots=1) as explainer:
        alone = [[bits(explainer.attribute(i, None, m), 0) for i in some_images(images)] for m in methods]
    with Explainer.from_session(DeviceLinear(reversed=True), slots=slots) as explainer:
        futures = [explainer.submit(some_images(images), None, m) for m in (MFABA(), *methods, MFABA())]
        for future, expected in zip(futures[1:-1], alone, strict=True):
            result = future.result(60)
            assert [bits(result, i) for i in range(images)] == expected


@dataclass(frozen=True)
class Largest(Uneven):
    """With a collector of its own."""

    def collector(self, features):
        return Maximum(features)


class Maximum:
    def __init__(self, features):
        self.values = np.full(features, -np.inf, np.float32)

    def add(self, values):
        self.values = np.maximum(self.values, values)

    def result(self):
        return self.values


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 50])
def test_lanes_of_different_length_are_added_in_their_order(slots):
    with Explainer.from_session(DeviceLinear(), slots=slots) as explainer:
        assert (explainer.attribute(some_images(4), None, Uneven()).values == in_order()).all()
        assert (explainer.attribute(some_images(2), None, Largest()).values == TERMS.max()).all()


# --- what crosses over


def ticks(session, slots, *requests):
    """The device's log of each tick, until all are done."""
    engine = Engine(session, DeviceLanes(session.device, slots, session.manifest.shape, 0.0, 1.0))
    for request in requests:
        engine.add(request)
    logs = []
    while engine.busy:
        session.device.log.clear()
        engine.tick()
        logs.append(list(session.device.log))
    return logs


@pytest.mark.parametrize("target", [-1, 1])
def test_one_row_an_image_comes_down_and_a_tick_has_one_launch(graph, target):
    session = OnnxDeviceSession(graph("smooth"), HostDevice(), Options(providers=opening.CPU, threads=1))
    images, shape = models.images("smooth", 3), session.manifest.shape
    row, several = images[0].nbytes, np.random.default_rng(0).random((2, *shape)).astype(np.float32)
    methods = [
        *(IntegratedGradients(steps=5, rule=rule) for rule in RULES),
        *(SmoothGrad(n=6, variant=variant) for variant in VARIANTS),
        ExpectedGradients(several, n=6),
        LPI(several, steps=3),
        NeFLAG(n=4),
        MFABA(),
    ]
    requests = [Request(images, np.full(3, target), method) for method in methods]
    logs = ticks(session, 7, *requests)
    copies = [entry for log in logs for entry in log if entry[0] in ("download", "fetch")]
    assert copies.count(("fetch", row)) == 3 * len(methods)
    rest = {entry for entry in copies if entry != ("fetch", row)}
    assert [name for name, _ in rest] == ["download"], "but for the rows only one block of flags comes down"
    for log in logs:
        names = [name for name, _ in log]
        assert max(names.count("add_sums"), names.count("add_moments")) <= 1
    assert all(r.future.result(0).values.any() for r in requests)


def test_a_tick_has_one_look_at_who_ended(graph):
    session = OnnxDeviceSession(graph("smooth"), HostDevice(), Options(providers=opening.CPU, threads=1))
    images = models.images("smooth", 2)
    for log in ticks(session, 4, Request(images, np.full(2, 1), IntegratedGradients(steps=5))):
        sizes = [size for name, size in log if name == "download" and size != images[0].nbytes]
        assert len(sizes) == 1


def test_images_that_end_lanes_in_the_same_tick_share_a_launch(graph):
    session = OnnxDeviceSession(graph("smooth"), HostDevice(), Options(providers=opening.CPU, threads=1))
    request = Request(models.images("smooth", 4), np.full(4, 1), IntegratedGradients(steps=3))
    logs = ticks(session, 8, request)
    assert [size for log in logs for name, size in log if name == "add_sums"] == [2, 2]
