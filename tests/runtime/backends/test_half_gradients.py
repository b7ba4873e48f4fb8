"""Gradients in 16 bits: the CPU that widens them, and both backends on a device."""

from __future__ import annotations

import models
import numpy as np
import pytest
import torch
import torch_modules
from cuda_on_cpu import HostDevice

from fluxpath.errors import ArtifactError
from fluxpath.export import gradient_from_onnx, gradient_from_torch
from fluxpath.runtime import AGI, MFABA, Explainer, NeFLAG, OnnxSession, Saliency
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.backends.torchscript_device import TorchScriptDeviceSession

METHODS = [MFABA(), MFABA(ascent="smooth", path="norm"), NeFLAG(n=2, max_steps=4), Saliency(absolute=False)]


@pytest.mark.parametrize("name", ["smooth", "relu"])
def test_the_cpu_gives_what_it_gives_with_float32_gradients(graph, name):
    """But for one rounding, which ONNX Runtime leaves out where the gradient is widened in the graph."""
    half = graph(name, precision="float16", gradient_dtype="float16")
    images = models.images(name, 5)
    with (
        Explainer(half, threads=1, slots=3) as there,
        Explainer(graph(name, precision="float16"), threads=1, slots=3) as here,
    ):
        assert there.manifest.gradient == "float16" and here.manifest.gradient == "float32"
        for method in METHODS:
            given, expected = there.attribute(images, method=method), here.attribute(images, method=method)
            np.testing.assert_array_equal(given.steps, expected.steps)
            apart = np.linalg.norm(given.values - expected.values)
            assert apart < 2e-3 * np.linalg.norm(expected.values)


@pytest.mark.parametrize("method", [*METHODS, AGI(classes=2, max_steps=2)])
def test_onnx_runtime_leaves_them_on_the_device(graph, method):
    path = graph("smooth", precision="float16", gradient_dtype="float16")
    device = HostDevice()
    session = OnnxDeviceSession(path, device, Options(providers=opening.CPU, threads=1))
    images = models.images("smooth", 4)
    with Explainer.from_session(session, slots=2) as there, Explainer(path, threads=1, slots=2) as here:
        given, expected = there.attribute(images, method=method), here.attribute(images, method=method)
    for name in ("target", "steps", "status"):
        np.testing.assert_array_equal(getattr(given, name), getattr(expected, name))
    np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)
    if not isinstance(method, AGI):
        assert any(kernel.endswith("_measure_float16") for kernel, _ in device.log)


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_torch_leaves_them_on_the_device(tmp_path, precision):
    path = tmp_path / "model.grad.pt"
    module = torch_modules.made(torch_modules.tiny)
    gradient_from_torch(module, torch.zeros(1, 6), path, precision=precision, gradient_dtype=precision)
    device = HostDevice()
    session = TorchScriptDeviceSession(path, device, Options(threads=1))
    images = np.random.default_rng(0).random((3, 6)).astype(np.float32)
    with Explainer.from_session(session, slots=2) as there, Explainer(path, threads=1, slots=2) as here:
        given, expected = there.attribute(images), here.attribute(images)
    np.testing.assert_array_equal(given.steps, expected.steps)
    np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)
    assert any(kernel == f"mfaba_move_{precision}" for kernel, _ in device.log)


def test_a_file_that_the_cpu_has_no_kernels_for(tmp_path):
    import onnx

    source, path = tmp_path / "m.onnx", tmp_path / "m.grad.onnx"
    onnx.save(models.MODELS["relu"](), source)
    gradient_from_onnx(source, path, precision="bfloat16", gradient_dtype="bfloat16")
    with pytest.raises(ArtifactError, match="ONNX Runtime cannot load"):
        OnnxSession(path)
