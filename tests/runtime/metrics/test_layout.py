"""Pixels, their order, and the range of inputs."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, some, with_values
from metric_twins import pixel_order

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import Case
from fluxpath.runtime.metrics.layout import (
    RANKINGS,
    Layout,
    mask_of,
    range_of,
    ranked,
    relevance,
    width,
    within,
)


@pytest.mark.parametrize(
    ("shape", "plane", "channels", "pixels"),
    [
        ((3, 8, 10), (8, 10), 3, 80),
        ((1, 8, 10), (8, 10), 1, 80),
        ((8, 10), (8, 10), 1, 80),
        ((6,), None, 1, 6),
        ((3, 2, 8, 10), None, 1, 480),
    ],
)
def test_pixels_of_a_shape(shape, plane, channels, pixels):
    layout = Layout(shape)
    assert (layout.plane, layout.channels, layout.pixels) == (plane, channels, pixels)
    if plane is None:
        with pytest.raises(
            InputError, match=r"blur needs pictures, inputs \[h, w\] or \[c, h, w\], and these"
        ):
            layout.need_plane("blur")


def test_the_order_is_stable():
    (case,) = cases(Small(), 1)
    tied = with_values(case, np.round(case.values * 2))
    assert ranked(tied)[:, 0].tolist() == pixel_order(tied.values)
    assert (ranked(tied) % 80 == ranked(tied)[:, :1]).all()
    elements = ranked(tied, "elements")[:, 0].tolist()
    flat = tied.values.reshape(-1)
    assert elements == sorted(range(240), key=lambda e: (-flat[e], e))
    channels = ranked(tied, "channels")
    for c in range(3):
        own = flat[80 * c : 80 * c + 80]
        assert (channels[:, c] - 80 * c).tolist() == sorted(range(80), key=lambda e: (-own[e], e))


def test_each_order_of_a_case_is_its_own():
    (case,) = cases(Small(), 1)
    asked = [(ranking, absolute) for ranking in RANKINGS for absolute in (False, True)]
    first = {each: ranked(case, *each) for each in asked}
    for order in first.values():
        order[:] = 0  # what a caller does with it is nobody else's
    again = {each: ranked(case, *each) for each in asked}
    for each in asked:
        assert np.array_equal(again[each], ranked(with_values(case, case.values), *each))
        assert np.unique(again[each]).size == 240
    assert not np.array_equal(again["pixels", False], again["pixels", True])


def test_equal_pixels_are_ranked_by_rows():
    (case,) = cases(Small(), 1)
    assert ranked(with_values(case, 0 * case.values))[:, 0].tolist() == list(range(80))


def test_channels_are_summed_with_their_sign():
    (case,) = cases(Small(), 1)
    assert np.allclose(relevance(case), case.values.astype(np.float64).sum(axis=0).reshape(-1), atol=1e-15)


def test_the_range_is_the_files():
    (case,) = cases(Small(low=-1.0, high=3.0), 1)
    assert range_of(case) == (-1, 3) and width(case) == 4
    assert within(case, np.array([-9.0, 0.0, 9.0])).tolist() == [-1, 0, 3]
    (open_one,) = cases(Small(low=None, high=None), 1)
    assert range_of(open_one) == (-np.inf, np.inf) and width(open_one) == 1
    assert within(open_one, np.array([-9.0, 9.0])).tolist() == [-9, 9]


def test_a_mask_fits_the_pixels():
    mask = np.zeros((8, 10), bool)
    mask[2, 3] = True
    case = some(Small(), [1.0], mask)
    assert mask_of(case)[23] and mask_of(case).sum() == 1
    assert mask_of(Case(case.image, case.attribution)) is None
    for wrong in (mask[None], mask.astype(float), mask.T):
        with pytest.raises(InputError, match=r"the mask is .*, and must be bool \[8, 10\]"):
            mask_of(Case(case.image, case.attribution, mask=wrong))
