"""Arrays of bytes are taken for what they are, or refused where they could be two things."""

from __future__ import annotations

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.preparation.layouts import photos_in_array

RNG = np.random.default_rng(0)
GREY, COLOUR = RNG.integers(0, 256, (5, 7), np.uint8), RNG.integers(0, 256, (5, 7, 3), np.uint8)
GREYS, COLOURS = (np.stack([photo, 255 - photo]) for photo in (GREY, COLOUR))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("array", "photos"),
    [
        (GREY, GREY[None]),
        (GREY[..., None], GREY[None]),
        (GREY[None], GREY[None]),
        (GREYS, GREYS),
        (GREYS[..., None], GREYS),
        (GREYS[:, None], GREYS),
        (COLOUR, COLOUR[None]),
        (COLOURS, COLOURS),
        (np.moveaxis(COLOURS, 3, 1), COLOURS),
        (np.moveaxis(COLOUR, 2, 0)[None], COLOUR[None]),
        (GREY[:1, :1], GREY[None, :1, :1]),
        (GREY[:1, :1, None, None], GREY[None, :1, :1]),
    ],
)
def test_every_layout(array: np.ndarray, photos: np.ndarray, channels: int) -> None:
    found = photos_in_array("images", array, channels)
    assert len(found) == len(photos)
    assert all(np.array_equal(one, other) for one, other in zip(found, photos, strict=True))


def test_channels_first_are_a_photo_in_colour_where_the_model_wants_one() -> None:
    (found,) = photos_in_array("images", np.moveaxis(COLOUR, 2, 0), 3)
    assert np.array_equal(found, COLOUR)


@pytest.mark.parametrize(
    ("shape", "channels", "said"),
    [
        ((3, 5, 7), 1, r"could be \[c, h, w\] or \[n, h, w\]: write photo\[None\] for one photo in colour"),
        ((3, 5, 3), 3, r"shape \[3, 5, 3\], which could be \[h, w, c\] or \[c, h, w\]: pass PIL images"),
        ((3, 1, 3), 3, r"could be \[h, w, c\] or \[c, h, w\]"),
        ((2, 3, 5, 3), 3, r"could be \[n, h, w, c\] or \[n, c, h, w\]: pass PIL images"),
        ((5, 7, 4), 3, r"shape \[5, 7, 4\], and must have .* 1 or 3 channels c.*: take the first three"),
        ((4, 5, 7), 3, r"take the first three channels, or pass PIL images, whose transparency"),
        ((2, 5, 7, 4), 1, r"take the first three channels"),
        ((2, 5, 7, 2), 3, r"or grey \[h, w\] or \[n, h, w\]$"),
        ((5, 7, 2), 3, r"shape \[5, 7, 2\], and must have"),
        ((5, 7, 2), 1, r"shape \[5, 7, 2\], and must have"),
        ((7, 7, 4), 1, r"take the first three channels"),
        ((5,), 3, r"in bytes have shape \[5\], and must have"),
        ((1, 1, 3, 5, 7), 3, r"must have"),
        ((0, 5, 7, 3), 3, r"are empty: pass at least one photo"),
        ((5, 0), 3, r"are empty"),
    ],
)
def test_what_is_refused(shape: tuple[int, ...], channels: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        photos_in_array("images", np.zeros(shape, np.uint8), channels)
