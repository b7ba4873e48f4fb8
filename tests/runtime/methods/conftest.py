"""The small models whose gradients are known in float64."""

from __future__ import annotations

import pytest

from fluxpath.runtime import Explainer


@pytest.fixture(scope="module", params=["smooth", "relu"])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def explainer(graph, name):
    with Explainer(graph(name), threads=1) as opened:
        yield opened
