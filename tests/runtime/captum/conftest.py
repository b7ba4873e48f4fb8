"""A small network of torch, its gradient graphs, and images as tensors."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from fluxpath.export import gradient_from_torch  # noqa: E402
from fluxpath.runtime import Explainer  # noqa: E402

SHAPE = (3, 8, 8)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    layers = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.Tanh()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 4, 5)).eval()


@pytest.fixture(scope="module")
def files(network, tmp_path_factory):
    """`files(objective, **options)` is the path of that export."""
    folder, written = tmp_path_factory.mktemp("captum"), {}

    def export(objective="softmax", **options):
        key = (objective, *sorted(options.items()))
        if key not in written:
            written[key] = folder / f"{len(written)}.grad.onnx"
            gradient_from_torch(network, torch.zeros(1, *SHAPE), written[key], objective=objective, **options)
        return written[key]

    return export


@pytest.fixture(scope="module")
def explainer(files):
    with Explainer(files(), threads=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def unbounded(files):
    """Of a model that takes any input, as Captum's noise needs for the same numbers."""
    with Explainer(files(input_range=None), threads=1) as opened:
        yield opened


@pytest.fixture
def x():
    return torch.from_numpy(np.random.default_rng(0).random((4, *SHAPE), np.float32))
