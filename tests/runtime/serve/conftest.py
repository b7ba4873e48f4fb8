"""A server of two small models, and explainers of the same files beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serving import Process, serving

from fluxpath.runtime import Explainer


@pytest.fixture(scope="session")
def server(graph: Callable[..., Path]) -> Iterator[Process]:
    with serving(
        f"smooth={graph('smooth')}", f"relu:3={graph('relu')}", f"relu:12={graph('relu')}"
    ) as process:
        yield process


@pytest.fixture(scope="session")
def smooth(graph: Callable[..., Path]) -> Iterator[Explainer]:
    with Explainer(graph("smooth")) as explainer:
        yield explainer
