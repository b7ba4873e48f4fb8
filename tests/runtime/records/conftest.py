"""The explainer of small pictures that the sinks' tests use too."""

from __future__ import annotations

import pytest
from sessions import CLASSES
from sinks import IMAGES, METHOD, N, Pictures

from fluxpath.runtime import Explainer


@pytest.fixture(scope="module")
def explainer():
    with Explainer.from_session(Pictures(), slots=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def expected(explainer):
    return explainer.attribute(IMAGES, [i % CLASSES for i in range(N)], METHOD)
