"""Attributions on a real GPU against the CPU's, by backend and gradient type; skipped where there is none."""

from __future__ import annotations

import logging

import models
import numpy as np
import pytest
import torch
import torch_modules
from gpus import need_one

from fluxpath.errors import ProviderError
from fluxpath.export import gradient_from_torch
from fluxpath.runtime import (
    LPI,
    MFABA,
    ExpectedGradients,
    Explainer,
    IntegratedGradients,
    NeFLAG,
    SmoothGrad,
)
from fluxpath.runtime.device.cuda import cuda_device
from fluxpath.runtime.fidelity import fidelity

pytestmark = pytest.mark.gpu

METHODS = [
    MFABA(),
    MFABA(ascent="smooth", path="norm", step_size=0.02),
    MFABA(path="cosine"),
    NeFLAG(n=3, max_steps=4),
    MFABA(step_size=0.1),
    NeFLAG(n=3, radius=0.1, max_steps=4),
    IntegratedGradients(steps=6),
    IntegratedGradients(steps=6, rule="middle"),
    SmoothGrad(n=5),
    SmoothGrad(n=5, variant="variance"),
]


@pytest.fixture
def on_gpu(caplog):
    """Opens a file on the GPU; at the end, no evaluation may have gone without its CUDA graph."""
    opened = []

    def explainer(path, **options):
        need_one()
        cuda_device()  # what is wrong with the kernels or the driver fails the test
        try:
            opened.append(Explainer(path, device="cuda", **{"slots": 8, **options}))
        except ProviderError as error:
            pytest.skip(f"needs a backend for the GPU: {error}")
        return opened[-1]

    yield explainer
    for one in opened:
        one.close()
    warnings = [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.WARNING]
    assert warnings == []


@pytest.fixture
def script(tmp_path):
    def write(**options):
        path = tmp_path / "model.grad.pt"
        gradient_from_torch(torch_modules.made(torch_modules.tiny), torch.zeros(1, 6), path, **options)
        return path

    return write


def compare(there, here, images):
    """So many images that batch sizes recur and are captured; then a few, whose batches are rounded up."""
    references = images[:3]
    for method in [*METHODS, ExpectedGradients(references, n=5), LPI(references, steps=2)]:
        equal: list[bool] = []
        for count in (len(images), 5, 1, 5):
            given, expected = (e.attribute(images[:count], method=method) for e in (there, here))
            np.testing.assert_array_equal(given.target, expected.target)
            same = given.steps == expected.steps
            np.testing.assert_allclose(given.values[same], expected.values[same], rtol=1e-2, atol=1e-4)
            equal += same.tolist()
        # A walk can end a step apart where rounding decides who has crossed the boundary.
        assert np.mean(equal) >= 0.9, method


@pytest.mark.parametrize("name", ["smooth", "relu"])
def test_onnx_runtime_in_float32(graph, on_gpu, name):
    there = on_gpu(graph(name))
    with Explainer(graph(name)) as here:
        compare(there, here, models.images(name, 40))


def test_images_of_many_lanes_give_their_rows_back(graph, on_gpu):
    there = on_gpu(graph("smooth"))
    for method in METHODS:
        there.attribute(models.images("smooth", 20), None, method)
    sums = there._driver._engine._lanes._sums
    assert sums.sums._blocks and sums.moments._blocks
    assert sums.sums.used == sums.moments.used == 0


def test_slots_within_the_gpus_memory(graph, on_gpu):
    there = on_gpu(graph("smooth"), slots="auto", max_memory=2**33)
    assert 1 <= there.slots <= 256
    assert there._driver._engine._lanes.device.used() > 0


def test_torch_in_float32(script, on_gpu):
    path = script()
    there = on_gpu(path)
    with Explainer(path) as here:
        compare(there, here, np.random.default_rng(0).random((40, 6)).astype(np.float32))
    assert there._driver._engine._session._graphs


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("left_so", [False, True])
def test_torch_in_half_precision(script, on_gpu, precision, left_so):
    images = np.random.default_rng(0).random((40, 6)).astype(np.float32)
    there = on_gpu(script(precision=precision, gradient_dtype=precision if left_so else "float32"))
    given = there.attribute(images, 1)
    there.close()
    with Explainer(script()) as here:
        found = fidelity(given, here.attribute(images, 1))
    assert np.median(found.distance) < (0.02 if precision == "float16" else 0.15)
    assert np.median(found.rank_correlation) > 0.9


def test_onnx_runtime_leaves_half_gradients_so(graph, on_gpu):
    images = models.images("smooth", 40)
    given = on_gpu(graph("smooth", precision="float16", gradient_dtype="float16")).attribute(images, 1)
    with Explainer(graph("smooth")) as here:
        found = fidelity(given, here.attribute(images, 1))
    assert np.median(found.distance) < 0.02


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
def test_channels_last(tmp_path, suffix):
    """With max pooling, whose winners have places in either order. It may go without captures."""
    path, side = tmp_path / f"model.grad{suffix}", torch_modules.SIDE
    gradient_from_torch(torch_modules.made(torch_modules.resnet), torch.zeros(1, 3, side, side), path)
    images = np.random.default_rng(0).random((10, 3, side, side)).astype(np.float32)
    need_one()
    cuda_device()
    try:
        there = Explainer(path, device="cuda", slots=8, channels_last=True)
    except ProviderError as error:
        pytest.skip(f"needs a backend for the GPU: {error}")
    with there, Explainer(path) as here:
        compare(there, here, images)
