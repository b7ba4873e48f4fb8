"""How many slots are chosen at load, by a clock and a memory of the test's own."""

from __future__ import annotations

import numpy as np
import pytest
from sessions import FEATURES, LinearSession

from fluxpath.errors import InputError
from fluxpath.runtime import Explainer
from fluxpath.runtime.backends.calibration import suitable_slots
from fluxpath.runtime.lanes import Lanes


class Timed(LinearSession):
    """A session that takes `cost(count)` seconds of a clock of its own."""

    def __init__(self, cost):
        super().__init__()
        self.cost, self.clock = cost, 0.0

    def run(self, count):
        self.clock += self.cost(count)


@pytest.mark.parametrize(
    ("cost", "slots"),
    [
        (lambda n: n, 1),
        (lambda n: 8 + n, 128),
        (lambda n: 1 + n + max(0, n - 32) * 9, 16),
        (lambda n: 1, 256),
    ],
)
def test_auto_slots_are_the_fewest_that_are_about_as_fast_as_any(monkeypatch, cost, slots):
    session = Timed(lambda n: 1e-4 * cost(n))
    monkeypatch.setattr("fluxpath.runtime.backends.calibration.time.perf_counter", lambda: session.clock)
    assert suitable_slots(session, lambda n: Lanes(n, (FEATURES,), 0.0, 1.0)) == slots


def test_what_a_first_evaluation_prepares_does_not_count(monkeypatch):
    seen = []
    session = Timed(lambda n: 1e-3 if n in seen else seen.append(n) or 5.0)
    monkeypatch.setattr("fluxpath.runtime.backends.calibration.time.perf_counter", lambda: session.clock)
    assert suitable_slots(session, lambda n: Lanes(n, (FEATURES,), 0.0, 1.0)) == 256


def test_auto_slots_respect_the_memory(monkeypatch):
    session, taken = Timed(lambda n: 1e-4), [0]
    bound = session.bind
    session.bind = lambda lanes: (taken.__setitem__(0, 1000 * lanes.slots), bound(lanes))
    monkeypatch.setattr("fluxpath.runtime.backends.calibration.time.perf_counter", lambda: session.clock)
    session.used = lambda: taken[0]

    def lanes(n):
        return Lanes(n, (FEATURES,), 0.0, 1.0)

    for memory, slots in ((1000, 1), (9000, 8), (17_000, 16)):
        taken[0] = 0
        assert suitable_slots(session, lanes, memory) == slots
    taken[0] = 0
    with pytest.raises(InputError, match="one slot of this model takes 1000"):
        suitable_slots(session, lanes, 999)


def test_an_explainer_chooses_its_slots(graph):
    with Explainer(graph("smooth"), slots="auto") as explainer:
        assert 1 <= explainer.slots <= 256
        assert len(explainer.attribute(np.full((3, *explainer.shape), 0.5, np.float32))) == 3
