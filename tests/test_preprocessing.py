"""What a file can say of how photos become inputs; forged values are in test_manifest.py."""

from __future__ import annotations

from typing import Any

import pytest

from fluxpath.errors import InputError
from fluxpath.preprocessing import Preprocessing


def test_one_number_crops_to_a_square() -> None:
    assert Preprocessing(256, 224) == Preprocessing(256, (224, 224))
    assert Preprocessing(256, (224, 240)).crop == (224, 240)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"resize": 200, "crop": 224}, "resize is 200, less than the 224 pixels of the crop"),
        ({"resize": 230, "crop": (224, 240)}, "less than the 240 pixels"),
        ({"resize": 0}, "resize is 0, it must be an integer from 1"),
        ({"crop": (1, 2, 3)}, "height and width, or one number"),
        ({"crop": 1 << 20}, "crop is 1048576, it must be an integer from 1 to 16384"),
        ({"interpolation": "cubic"}, "it must be 'bilinear' or 'nearest' or 'bicubic' or 'lanczos'"),
        ({"pad": "black"}, "it must be True or False"),
        ({"pad": True, "crop": 224}, "leave out resize and crop"),
    ],
)
def test_what_does_not_fit_together(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Preprocessing(**settings)


@pytest.mark.parametrize(
    ("how", "shape", "said"),
    [
        (Preprocessing(), (10,), "photos need"),
        (Preprocessing(), (4, 8, 8), r"shape \[4, 8, 8\], and photos need \[1 or 3, h, w\]"),
        (
            Preprocessing(crop=8),
            (3, 8, 9),
            r"crop is \[8, 8\], and the model .* \[3, 8, 9\]",
        ),
        (Preprocessing(crop=8), (3, None, 9), r"of shape \[3, '\?', 9\]"),
        (Preprocessing(resize=7), (3, None, 8), "resize is 7, less than the 8 pixels"),
    ],
)
def test_what_does_not_fit_the_model(how: Preprocessing, shape: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        how.check(shape)


def test_it_reads_as_a_sentence() -> None:
    assert str(Preprocessing()) == "resized to cover, bilinear, centre cropped"
    assert str(Preprocessing(256, 224, "bicubic")) == (
        "shorter side to 256, bicubic, centre cropped to 224 x 224"
    )
    assert str(Preprocessing(pad=True)) == "resized to fit, bilinear, padded with black"
