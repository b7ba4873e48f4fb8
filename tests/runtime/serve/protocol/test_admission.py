"""What waits is bounded, and who is refused hears when to come again."""

from __future__ import annotations

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime import BIG, MFABA, NeFLAG, Saliency
from fluxpath.runtime.serve.protocol.admission import Costs, Gate, Rate
from fluxpath.runtime.serve.protocol.errors import BusyError, retry_after


class Clock:
    """And a counter of evaluations."""

    now, done = 0.0, 0

    def __call__(self) -> float:
        return self.now

    def total(self) -> int:
        return self.done


def gate_of(images, evaluations, clock=None):
    clock = clock or Clock()
    return Gate(images, evaluations, clock.total, clock)


def test_the_rate_counts_only_the_time_in_which_there_was_work():
    clock = Clock()
    rate = Rate(clock.total, clock)
    clock.now = 100.0
    rate.note(working=False)
    clock.now = 102.0
    clock.done = 50
    rate.note(working=True)
    assert rate.per_second == pytest.approx(25)


def test_images_beyond_the_limit_are_refused_and_there_is_room_again_afterwards():
    gate = gate_of(3, 10**6)
    with gate.entered(2, Saliency()):
        with pytest.raises(BusyError), gate.entered(2, Saliency()):
            pass
        with gate.entered(1, Saliency()):
            assert gate.images == 3
    assert (gate.images, gate.evaluations) == (0, 0.0)


def test_evaluations_beyond_the_limit_are_refused():
    gate, method = gate_of(100, 1000), NeFLAG(n=2, radius=0.1)
    with gate.entered(10, method), pytest.raises(BusyError), gate.entered(20, method):
        pass


def test_when_to_come_again_follows_from_the_measured_rate():
    clock = Clock()
    gate = gate_of(1000, 1000, clock)
    with gate.entered(100, Saliency()) as learn:  # two evaluations each, predicted
        clock.now, clock.done = 10.0, 100
        learn(100)
    with gate.entered(500, Saliency()) as _:
        # One each, as was learned; ten a second. 800 more exceed the limit by 300.
        with pytest.raises(BusyError) as caught, gate.entered(800, Saliency()):
            pass
        assert caught.value.retry_after == pytest.approx(30)
        assert retry_after(caught.value) == 30


def test_what_never_fits_is_no_matter_of_waiting():
    gate = gate_of(10, 100)
    with pytest.raises(InputError, match="at a time"), gate.entered(11, None):
        pass
    with pytest.raises(InputError, match="fewer steps"), gate.entered(1, NeFLAG(n=10**9)):
        pass


def test_costs_begin_with_the_most_and_become_the_mean():
    costs = Costs()
    fixed = MFABA(max_steps=50, step_size=0.1)
    assert costs.predicted(fixed) == 52
    assert costs.predicted(MFABA()) == 17 and costs.predicted(MFABA(max_steps=3)) == 4
    assert costs.predicted(NeFLAG(n=5)) == 11 and costs.predicted(NeFLAG(n=5, radius=0.1)) == 106
    assert costs.predicted(BIG(radii=(1.0, 2.0), max_steps=10)) > 20
    costs.learn(fixed, 4)
    assert costs.predicted(fixed) == 4
    costs.learn(fixed, 14)
    assert costs.predicted(fixed) == 5


def test_only_so_many_methods_are_remembered():
    costs = Costs()
    for n in range(1, 1000):
        costs.learn(NeFLAG(n=n), 1.0)
    assert len(costs._means) == 256


def test_a_failure_makes_room_too():
    gate = gate_of(1, 100)
    with pytest.raises(ArithmeticError), gate.entered(1, None):
        raise ArithmeticError
    assert gate.images == 0
