"""A server of two small models, and explainers of the same files beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import models
import numpy as np
import pytest
import tritonclient.http
from serving import Process, serving

from fluxpath.runtime import Explainer

IMAGES = models.images("smooth", 5)


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


@pytest.fixture(scope="session")
def small(graph: Callable[..., Path]) -> Iterator[Process]:
    """Little room everywhere."""
    with serving(
        f"smooth={graph('smooth')}",
        *("--max-body", 20_000, "--max-json", 15_000, "--max-pixels", 1000, "--max-queue-images", 8),
        *("--max-queue-evaluations", 400_000, "--body-timeout", 0.5),
    ) as process:
        yield process


@pytest.fixture
def ask(server: Process) -> Iterator[Callable[..., list[np.ndarray]]]:
    """`ask(*outputs, images=..., **parameters)` are those outputs of the model smooth."""
    with tritonclient.http.InferenceServerClient(server.http) as client:

        def ask(*names: str, images: np.ndarray = IMAGES, **parameters: object) -> list[np.ndarray]:
            tensor = tritonclient.http.InferInput("image", list(images.shape), "FP32")
            tensor.set_data_from_numpy(images)
            outputs = [tritonclient.http.InferRequestedOutput(n) for n in names]
            result = client.infer("smooth", [tensor], outputs=outputs, parameters=parameters)
            return [result.as_numpy(n) for n in names]

        yield ask
