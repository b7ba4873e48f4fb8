"""DiffID against a twin of its authors' loop, with ties in the order that we promise."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured
from metric_twins import area, levels, pixel_order

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import DiffID


def without(image: np.ndarray, gone: list[int]) -> np.ndarray:
    """The pixels that are gone become the mean of every number that is left."""
    flat = image.astype(np.float64).reshape(len(image), -1).copy()
    left = [p for p in range(flat.shape[1]) if p not in gone] or list(range(flat.shape[1]))
    mean = flat[:, left].mean()
    flat[:, gone] = mean
    return flat.reshape(image.shape)


@pytest.mark.parametrize("of", ["accuracy", "output"])
def test_it_is_its_twin(of):
    model = Small()
    for case in cases(model, 6):
        order = pixel_order(case.values, absolute=True)
        counts = levels(80, 10)

        def look(gone):
            logits = model.logits(without(case.image, gone))  # noqa: B023
            if of == "accuracy":
                return float(logits.argmax() == case.target)  # noqa: B023
            return logits[case.target] / model.logits(case.image)[case.target]  # noqa: B023

        most = [look(order[:count]) for count in counts]
        least = [look(order[80 - count :]) for count in counts]
        expected = area([c / 80 for c in counts], [a - b for a, b in zip(least, most, strict=True)])
        found = measured(model, case, DiffID(of=of))
        assert found.value == pytest.approx(expected, abs=1e-5 if of == "output" else 1e-6)
        assert np.allclose(found.curves["insertion"], least, atol=1e-5)


def test_both_ends_are_equal():
    model = Small()
    (case,) = cases(model, 1)
    curves = measured(model, case, DiffID(of="output")).curves
    assert curves["insertion"][0] == curves["deletion"][0] == 1
    assert curves["insertion"][-1] == curves["deletion"][-1]


def test_settings_are_checked():
    with pytest.raises(InputError, match="of is 'logit', it must be 'accuracy' or 'output'"):
        DiffID(of="logit")
