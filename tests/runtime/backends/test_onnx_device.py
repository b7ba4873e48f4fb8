"""ONNX Runtime in place on a device's memory."""

from __future__ import annotations

import numpy as np
import pytest
from cuda_on_cpu import HostDevice
from sessions import METHODS, compare

from fluxpath.errors import ProviderError
from fluxpath.runtime import Explainer
from fluxpath.runtime.backends import onnx as session
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession


def test_onnx_runtime_works_in_place_on_the_devices_memory(graph):
    device = HostDevice()
    session = OnnxDeviceSession(graph("linear"), device, Options(providers=opening.CPU, threads=1))
    images = np.random.default_rng(0).random((5, *session.manifest.shape)).astype(np.float32)
    with Explainer.from_session(session, slots=3) as there, Explainer(graph("linear"), threads=1) as here:
        for method in METHODS:
            compare(there.attribute(images, method=method), here.attribute(images, method=method))


def test_a_provider_that_cannot_be_started_is_named(graph, monkeypatch):
    """ONNX Runtime lists it and then goes on without it, on memory that the next one cannot read."""
    monkeypatch.setattr(session.OnnxSession, "__init__", on_the_cpu(session.OnnxSession.__init__))
    device = HostDevice()
    with pytest.raises(ProviderError, match="cannot start CUDAExecutionProvider, as when CUDA or cuDNN"):
        OnnxDeviceSession(graph("linear"), device, Options(providers=opening.CUDA, threads=1))


def on_the_cpu(original):
    def opened(self, path, providers, threads, options):
        original(self, path, opening.CPU, threads)

    return opened
