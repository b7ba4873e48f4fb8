"""The machine's rates as numbers that can be used; how fast it is, no test says."""

from __future__ import annotations

import pytest

from fluxpath.export.accounting import rates
from fluxpath.export.accounting.rates import Rates, measured

SOME = Rates(flops=100.0, copies=((10, 4.0), (1000, 2.0)))


def test_measured_rates_are_positive(monkeypatch):
    monkeypatch.setattr(rates, "SECONDS", 0.0)
    found = measured(threads=1)
    assert found.flops > 0 and all(rate > 0 for _, rate in found.copies)
    assert [n for n, _ in found.copies] == [2 * size for size in rates.COPIED]


@pytest.mark.parametrize(("moved", "rate"), [(0, 4.0), (10, 4.0), (999, 4.0), (1000, 2.0), (10**6, 2.0)])
def test_the_copy_rate_is_that_of_arrays_of_the_size(moved, rate):
    assert SOME.copying(moved) == rate


def test_the_ideal_is_the_longer_of_arithmetic_and_memory():
    assert SOME.ideal(400, 8) == 4.0 and SOME.ideal(100, 8) == 2.0


def test_the_better_of_two_measurements():
    other = Rates(flops=50.0, copies=((10, 5.0), (1000, 1.0)))
    assert SOME.better(other) == Rates(100.0, ((10, 5.0), (1000, 2.0)))
