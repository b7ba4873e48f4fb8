"""The method in docs/own-method.md runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from sessions import LinearSession, some_images
from twins import BOUNDARY, MAX_STEPS, relative_error

from fluxpath.runtime import MFABA, Explainer

DOCUMENT = Path(__file__).parents[2] / "docs" / "own-method.md"
CODE = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)[1]


@pytest.fixture(scope="module")
def walk():
    names = {"__name__": "own_method"}
    exec(compile(CODE, str(DOCUMENT), "exec", dont_inherit=True), names)
    return names["MomentumWalk"]


def by_hand(gradient, image, step_size, momentum, max_steps):
    x, velocity, values, steps = image, 0 * image, 0 * image, 0
    _, first, g = gradient(x)
    while True:
        _, label, g = gradient(x)
        if steps > 0 and label != first:
            return values, steps, BOUNDARY
        if steps == max_steps:
            return values, steps, MAX_STEPS
        velocity = momentum * velocity - step_size * g / np.linalg.norm(g)
        following = np.clip(x + velocity, 0, 1)
        values = values - (following - x) * g
        x, steps = following, steps + 1


def test_it_is_short():
    assert len(CODE.splitlines()) < 40


def test_it_does_what_it_says_beside_other_methods(walk):
    session, images = LinearSession(), some_images(8)
    method = walk(step_size=0.01, max_steps=5)
    with Explainer.from_session(session, slots=5) as explainer:
        other = explainer.submit(images, None, MFABA())
        result = explainer.attribute(images, None, method)
        other.result(20)
    for i, image in enumerate(images.astype(np.float64)):
        values, steps, status = by_hand(session.gradient(image), image, 0.01, 0.9, 5)
        assert (result.steps[i], result.status[i]) == (steps, status)
        assert relative_error(result.values[i], values) < 1e-5
    assert len(set(result.status)) == 2 and np.isfinite(result.error_rate).all()
