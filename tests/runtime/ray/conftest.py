"""A cluster with room for two processes; 300 photos, and what one process makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import clusters
import numpy as np
import pytest
from PIL import Image

from fluxpath.runtime import Explainer


@pytest.fixture(scope="session")
def cluster() -> Iterator[tuple[str, int]]:
    with clusters.held(cpus=2) as found:
        yield found


@pytest.fixture(scope="session")
def server(graph: Callable[..., Path]) -> Iterator[clusters.Application]:
    """Two replicas of two small models."""
    models = [f"smooth={graph('smooth')}", f"relu:3={graph('relu')}", f"relu:12={graph('relu')}"]
    application = clusters.Application(models, replicas=2, cpus=0.5)
    yield application
    application.close()


@pytest.fixture(scope="session")
def smooth(graph: Callable[..., Path]) -> Iterator[Explainer]:
    with Explainer(graph("smooth")) as explainer:
        yield explainer


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for i in range(300):
        path = folder / f"{i % 3}" / f"{i:04d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(path)
    return folder


@pytest.fixture(scope="session")
def single(photos: Path, graph: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Parquet file that one process writes of the photos."""
    path = tmp_path_factory.mktemp("single") / "all.parquet"
    with Explainer(graph("smooth"), threads=1, **clusters.ALONE) as explainer:
        explainer.attribute_many(photos, path, method=clusters.METHOD, progress=False)
    return path
