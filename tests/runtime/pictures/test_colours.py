"""Colour maps keep their order for readers who see no hue, or lack one kind of cone.

CIELAB (D65) is computed here from its equations; the deuteranope's, protanope's and tritanope's view by the
matrices of Machado, Oliveira and Fernandes (2009) for severity 1, on linear sRGB.
"""

from __future__ import annotations

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.pictures.colours import BY_POLARITY, COLORMAPS, DIVERGING, coloured

XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
VIEWS = {
    "all cones": np.eye(3),
    "protanope": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranope": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanope": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(colours: np.ndarray, view: str = "all cones") -> np.ndarray:
    """CIELAB [n,3] of sRGB colours [n,3] in 0..255, as somebody with these cones sees them."""
    c = colours / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(VIEWS[view]), 0, 1)
    t = seen @ XYZ.T / WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def steps(colormap: str, count: int = 33) -> np.ndarray:
    begin = -1 if colormap in DIVERGING else 0
    return coloured(np.linspace(begin, 1, count), colormap)


@pytest.mark.parametrize("colormap", ["ember", "frost", "polar"])
def test_lightness_climbs_evenly(colormap: str) -> None:
    climb = np.diff(lab(steps(colormap))[:, 0])
    assert climb.sum() > 70
    assert climb.min() > 0.6 * climb.mean() and climb.max() < 1.5 * climb.mean()


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("colormap", ["ember", "frost", "polar"])
def test_the_order_is_seen_without_one_kind_of_cone(colormap: str, view: str) -> None:
    assert np.diff(lab(steps(colormap, 17), view)[:, 0]).min() > 0.5


@pytest.mark.parametrize("view", VIEWS)
def test_for_and_against_are_never_mistaken(view: str) -> None:
    """Evidence of the same strength but opposite sign is far apart in colour, and in lightness alone."""
    strength = np.linspace(0.25, 1, 16)
    against, favour = (lab(coloured(sign * strength, "polar"), view) for sign in (-1, 1))
    assert np.linalg.norm(favour - against, axis=1).min() > 30
    assert (favour - against)[:, 0].min() > 12


def test_red_and_green_would_be_mistaken() -> None:
    """So that the test above can fail: pure red and a green of its lightness, to a deuteranope."""
    red, green = lab(np.array([[200.0, 60, 40], [90, 125, 40]]), "deuteranope")
    assert (
        np.linalg.norm(red - green)
        < 30
        < np.linalg.norm(np.subtract(*lab(np.array([[200.0, 60, 40], [90, 125, 40]]))))
    )


def test_a_diverging_map_is_grey_where_there_is_nothing() -> None:
    _, a, b = lab(coloured(np.zeros(1), "polar"))[0]
    assert np.hypot(a, b) < 6
    np.testing.assert_array_equal(coloured(np.array([-0.5]), "ember"), coloured(np.array([0.5]), "ember"))


def test_each_polarity_has_a_map_and_others_are_unknown() -> None:
    assert set(BY_POLARITY.values()) <= set(COLORMAPS)
    with pytest.raises(InputError, match="colormap is 'jet', it must be 'ember' or"):
        coloured(np.zeros((2, 2)), "jet")
