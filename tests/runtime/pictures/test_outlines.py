"""Lines around the strongest regions, against a plain twin that walks over pixels."""

from __future__ import annotations

import numpy as np
import pytest

from fluxpath.runtime.pictures.outlines import outlined


def slow_lines(strength: np.ndarray, percent: float, width: int, edge: int) -> np.ndarray:
    """2 where the line is, 1 where its edge is, 0 elsewhere."""
    h, w = strength.shape
    ordered = sorted(strength.ravel().tolist())
    place = (100 - percent) / 100 * (len(ordered) - 1)
    k = min(int(place), len(ordered) - 2)
    least = ordered[k] + (place - k) * (ordered[k + 1] - ordered[k])

    def near(i: int, j: int, radius: int) -> list[tuple[int, int]]:
        rows, columns = range(i - radius, i + radius + 1), range(j - radius, j + radius + 1)
        return [(y, x) for y in rows for x in columns if 0 <= y < h and 0 <= x < w]

    inside = {(i, j) for i in range(h) for j in range(w) if strength[i, j] >= least and strength[i, j] > 0}
    line = {p for p in inside if any(q not in inside for q in near(*p, width))}
    out = np.zeros((h, w), int)
    for i in range(h):
        for j in range(w):
            out[i, j] = 2 if (i, j) in line else any(q in line for q in near(i, j, edge))
    return out


@pytest.mark.parametrize(("shape", "width", "edge"), [((30, 41), 1, 1), ((12, 600), 3, 1), ((900, 9), 4, 2)])
@pytest.mark.parametrize("percent", [0.5, 5.0, 40.0])
def test_outlines_are_their_slow_twin(shape: tuple[int, int], width: int, edge: int, percent: float) -> None:
    strength = np.abs(np.random.default_rng(3).normal(size=shape)) ** 4
    strength = strength.round(1)  # so that many are 0 and many equal
    colours = np.full((*shape, 3), 99.0)
    expected = np.array([99.0, 0.0, 255.0])[slow_lines(strength, percent, width, edge)]
    np.testing.assert_array_equal(outlined(colours, strength, percent), expected[..., None].repeat(3, 2))


def test_what_has_no_strength_is_never_inside() -> None:
    """Though it is among the strongest 40%, as nearly all of the map is 0."""
    strength = np.zeros((20, 20))
    strength[5:9, 5:9] = 1
    lined = outlined(np.full((20, 20, 3), 7.0), strength, 40)
    assert (lined[..., 0] == 255).sum() == 12  # the rim of 4 x 4 pixels


def test_no_line_where_there_is_nothing_to_enclose() -> None:
    colours = np.full((20, 20, 3), 7.0)
    for strength, percent in ((np.zeros((20, 20)), 10.0), (np.ones((20, 20)), 10.0), (np.eye(20), 0.0)):
        assert (
            outlined(colours, strength, percent) is colours
            or (outlined(colours, strength, percent) == 7).all()
        )
