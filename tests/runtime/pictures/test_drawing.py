"""Wrong settings of a picture are refused where they are given, with what would be right."""

from __future__ import annotations

import math
import re
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.pictures import Drawing


@pytest.mark.parametrize(
    ("setting", "bad", "said"),
    [
        ("polarity", ("up", None), "it must be 'positive' or 'negative' or 'both'"),
        ("overlay", ("gray", None), "it must be 'none' or 'original' or 'grayscale' or 'mask'"),
        ("channels", ("mean",), "it must be 'sum' or 'abs' or 'max'"),
        ("clip_percent_lowerbound", (-1, 101, math.nan, "80"), "a number from 0 to 100"),
        ("clip_percent_lowerbound", (99.5, 99.6), "must be below clip_percent_upperbound"),
        ("clip_percent_upperbound", (-1, 101, math.nan, None), "a number from 0 to 100"),
        ("smooth", (-1, math.nan, math.inf, "off", None, True), 'smooth (if not "auto") is'),
        ("colormap", ("jet", 3), "it must be 'ember' or"),
        ("outlines", (-1, 101, math.nan), "a number from 0 to 100"),
        ("size", (0, -3, 1.5, True, (8, 8), 4097), "an integer from 1 to 4096"),
        ("alpha", (-0.1, 1.1, math.nan), "a number from 0 to 1"),
        ("brightness", (-0.1, 1.1, math.nan), "a number from 0 to 1"),
    ],
)
def test_a_bad_setting_is_refused(setting: str, bad: tuple[Any, ...], said: str) -> None:
    for value in bad:
        with pytest.raises(InputError, match=re.escape(said)) as refused:
            Drawing(**{setting: value})
        assert setting in str(refused.value)


def test_every_setting_is_explained_and_none_can_be_changed() -> None:
    for field in fields(Drawing):
        assert field.name in str(Drawing.__doc__)
    with pytest.raises(FrozenInstanceError):
        Drawing().size = 3  # type: ignore[misc]
