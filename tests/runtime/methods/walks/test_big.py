"""BIG's search for the boundary: which balls, how far, how many steps. Its twin is in test_walks.py."""

from __future__ import annotations

import numpy as np
import pytest
from sessions import CLASSES, LinearSession, explain, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import BIG, Status


def test_big_without_a_boundary_is_zero_and_says_so_after_all_its_steps():
    session = LinearSession()
    result = explain(session, some_images(6), BIG(radii=(1e-6, 2e-6, 3e-6), max_steps=4), slots=2)
    assert result.status.tolist() == [Status.MAX_STEPS] * 6 and not result.values.any()
    assert result.steps.tolist() == [3 * 4] * 6 and sum(session.counts) == 6 * (1 + 3 * 4)


def walked(session, image, method, target=None):
    """How far from the image each evaluation is, and the boundary point that the last ones start from."""
    result = explain(session, image, method, target=target)
    assert result.status == Status.BOUNDARY
    x, n = image[0].astype(np.float64), method.integration_steps
    boundary = x + (session.points[-n] - x) / (1 - 0.5 / n)
    return np.linalg.norm(session.points - x, axis=1), boundary, int(result.target[0])


def test_big_stays_in_the_smallest_ball_that_has_another_class():
    image, radii = some_images(1, seed=5), (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
    method = BIG(radii=radii[::-1], max_steps=6, bisections=5, integration_steps=9)
    session = LinearSession()
    distances, boundary, target = walked(session, image, method)
    assert distances[0] == 0.0
    smallest = next(r for r in radii if np.linalg.norm(boundary - image[0]) <= r)
    failed = radii.index(smallest)
    assert failed >= 2
    for ball in range(failed):
        attack = distances[1 + 6 * ball : 7 + 6 * ball]
        assert attack[0] == pytest.approx(radii[ball] / 3, rel=1e-3)  # 2 r / max_steps
        assert attack.max() == pytest.approx(radii[ball], rel=1e-3)
    rest = distances[1 + 6 * failed :]
    assert rest.max() <= smallest * 1.001 and 1 <= len(rest) - 5 - 9 <= 6
    assert session.evaluate(boundary)[1] != target


def test_big_finds_nearly_the_nearest_boundary_point():
    """Which a linear model has at |z_t - z_i| / ||w_t - w_i|| for the nearest class i."""
    ratios = []
    for seed in range(30):
        session, image = LinearSession(), 0.25 + some_images(1, seed=seed) / 2
        target = session.evaluate(image[0].astype(np.float64))[1]
        others = [i for i in range(CLASSES) if i != target]
        between = session.weight[target] - session.weight[others]
        exact = (between @ (image[0] - 0.5) / np.linalg.norm(between, axis=1)).min()
        _, boundary, _ = walked(session, image, BIG(bisections=12))
        assert session.evaluate(boundary - 1e-6 * (image[0] - boundary))[1] != target
        ratios.append(np.linalg.norm(boundary - image[0]) / exact)
    assert min(ratios) > 0.999 and max(ratios) < 1.3 and np.median(ratios) < 1.05


def test_big_of_a_class_that_is_not_predicted_attacks_one_ball_to_its_end():
    session, image = LinearSession(), some_images(1)
    target = (session.evaluate(image[0].astype(np.float64))[1] + 1) % CLASSES
    method = BIG(radii=(0.1, 0.2), max_steps=5, integration_steps=4)
    distances, boundary, _ = walked(session, image, method, target)
    assert len(distances) == 1 + 5 + 4
    np.testing.assert_allclose(boundary, session.points[5], atol=1e-6)


def test_big_is_complete_to_the_boundary():
    """The attribution's sum is the score at the image minus that at the boundary."""
    session = LinearSession()
    result = explain(session, some_images(6), BIG(bisections=20, integration_steps=200))
    found = result.status == Status.BOUNDARY
    assert found.sum() >= 3
    total = result.values.sum(1)
    assert ((total > 0) & (total < result.score - 1 / CLASSES + 0.01))[found].all()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"radii": [[0.1]]}, r"radii have shape \[1, 1\]"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"radii": (0.1, np.nan)}, "a radius is nan, it must be a finite number above zero"),
        ({"radii": 0.0}, "a radius is 0.0"),
        ({"radii": ()}, r"radii have shape \[0\]"),
        ({"radii": "far"}, "radii are 'far', they must be numbers"),
        ({"bisections": -1}, "bisections is -1"),
        ({"integration_steps": 0}, "integration_steps is 0"),
    ],
)
def test_bad_settings_are_named(settings, named):
    with pytest.raises(InputError, match=named):
        BIG(**settings)
