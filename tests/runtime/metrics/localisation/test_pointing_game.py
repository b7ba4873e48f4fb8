"""The pointing game."""

from __future__ import annotations

import math

import numpy as np
import pytest
from metric_cases import Small, cases, measured, some
from quantus_model import quantus_of

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import PointingGame


def box(top: int = 2, left: int = 3, size: int = 3) -> np.ndarray:
    mask = np.zeros((8, 10), bool)
    mask[top : top + size, left : left + size] = True
    return mask


def at(row: int, column: int) -> np.ndarray:
    values = np.zeros((8, 10))
    values[row, column] = 1
    return values


@pytest.mark.parametrize("tolerance", [0, 1, 2, 3])
def test_it_is_its_twin(tolerance):
    model = Small()
    for row in range(8):
        for column in range(10):
            near = min(math.dist((row, column), (i, j)) for i in range(2, 5) for j in range(3, 6))
            case = some(model, at(row, column), box())
            assert measured(model, case, PointingGame(tolerance)).value == (near <= tolerance)


def test_the_first_of_equal_ones_counts():
    model = Small()
    values = at(0, 0) + at(3, 4)
    assert measured(model, some(model, values, box()), PointingGame()).value == 0
    assert measured(model, some(model, values[::-1], box()), PointingGame()).value == 1


def test_without_a_mask_nobody_knows():
    model = Small()
    assert np.isnan(measured(model, some(model, at(1, 1)), PointingGame()).value)
    assert np.isnan(measured(model, some(model, at(1, 1), box(size=0)), PointingGame()).value)


def test_features_have_no_distance():
    model = Small((6,))
    (case,) = cases(model, 1, mask=np.array([True] + [False] * 5))
    assert measured(model, case, PointingGame()).value in (0, 1)
    with pytest.raises(InputError, match="the pointing game's tolerance needs pictures"):
        measured(model, case, PointingGame(2))


@pytest.mark.filterwarnings("ignore")  # Quantus' own
def test_it_is_quantus_pointing_game():
    quantus, network = quantus_of(Small())
    model = Small()
    several = cases(model, 8, mask=box(size=5))
    expected = quantus.PointingGame(disable_warnings=True)(
        model=network,
        x_batch=np.stack([case.image for case in several]),
        y_batch=np.array([case.target for case in several]),
        a_batch=np.stack([case.values.sum(axis=0, keepdims=True) for case in several]),
        s_batch=np.stack([case.mask[None] for case in several]),
    )
    assert [measured(model, case, PointingGame()).value for case in several] == list(expected)
