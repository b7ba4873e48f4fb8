"""What a metric is given, and what it asks for if it says nothing."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases

from fluxpath.runtime.metrics import Found, Measured, Metric, measure


class Sum(Metric):
    """A metric of one's own: the sum of the attribution."""

    better = "higher"

    def measure(self, case, found: Found) -> Measured:
        assert found.parts == () and len(found.logits) == len(found.attributions) == 0
        return Measured(float(case.values.sum()))


def test_a_case_of_one_image():
    (case,) = cases(Small(), 1)
    assert case.values.shape == case.image.shape and case.seed == 100 and case.mask is None
    assert case.target == int(case.attribution.target[0])
    assert len({case, cases(Small(), 1)[0]}) == 2  # cases are compared by identity


def test_a_metric_asks_for_nothing_by_itself():
    model, own = Small(), Sum()
    several = cases(model, 2)
    found = [one[own].value for one in measure(model, several, [own])]
    assert found == [pytest.approx(float(np.sum(case.values))) for case in several]
    assert model.batches == model.explained == []
    assert Measured(1.0).curves == {}
