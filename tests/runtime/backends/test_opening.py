"""Which backend and device a file is opened with."""

from __future__ import annotations

import types

import numpy as np
import pytest
from cuda_on_cpu import FakeCuda, HostDevice

from fluxpath.errors import ProviderError
from fluxpath.runtime import Explainer, OnnxSession
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.backends.opening import open_session
from fluxpath.runtime.backends.tensorrt import TENSORRT
from fluxpath.runtime.device import cuda


def test_auto_falls_back_to_the_cpu_and_says_why(graph, monkeypatch):
    def missing(providers):
        raise ProviderError("there is none")

    monkeypatch.setattr(opening, "require_providers", missing)
    with pytest.warns(RuntimeWarning, match="device='auto' uses the CPU: there is none"):
        explainer = Explainer(graph("linear"), device="auto")
    with explainer:
        assert explainer.attribute(np.full((1, *explainer.shape), 0.5, np.float32)).steps.shape == (1,)


def test_auto_takes_the_device_that_is_there(graph, monkeypatch):
    device = HostDevice()
    monkeypatch.setattr(opening, "CUDA", opening.CPU)
    monkeypatch.setattr(cuda, "cuda_device", lambda number: device)
    with Explainer(graph("linear"), device="auto") as explainer:
        explainer.attribute(np.full((1, *explainer.shape), 0.5, np.float32))
    assert any(name == "mfaba_move_float32" for name, _ in device.log)


def test_a_device_that_is_not_there(graph):
    import onnxruntime

    with pytest.raises(ProviderError, match="device is 'tpu', it must be 'cpu', 'cuda', 'cuda:1'"):
        Explainer(graph("linear"), device="tpu")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(ProviderError, match="'CUDAExecutionProvider' here, it has"):
            Explainer(graph("linear"), device="cuda")


@pytest.mark.parametrize("first", [TENSORRT, "CUDAExecutionProvider"])
def test_a_gpu_s_provider_by_name_works_on_the_gpu_s_memory(graph, monkeypatch, opened, first):
    numbers = []
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    monkeypatch.setattr(opening, "require_providers", lambda providers: types.SimpleNamespace())
    monkeypatch.setattr(cuda, "cuda_device", lambda number: numbers.append(number) or FakeCuda())
    session = open_session(
        graph("smooth"),
        Options(device="cuda:1", providers=(first, "CPUExecutionProvider"), threads=1, most=4),
    )
    assert isinstance(session, OnnxDeviceSession) and numbers == [1]


PROVIDERS = (TENSORRT, "CUDAExecutionProvider", "CPUExecutionProvider")


def test_a_provider_that_is_not_installed(graph):
    with pytest.raises(ProviderError, match=f"no execution provider '{TENSORRT}' here"):
        Explainer(graph("linear"), providers=PROVIDERS)


def test_the_cpu_s_provider_by_name_stays_on_the_host(graph):
    with Explainer(graph("linear"), providers=["CPUExecutionProvider"]) as explainer:
        assert explainer.attribute(np.full((1, *explainer.shape), 0.5, np.float32)).steps.shape == (1,)


def test_other_providers_are_refused(graph):
    for more in ({}, {"providers": ["CPUExecutionProvider"]}):
        with pytest.raises(ProviderError, match="compute in channels_last order only on a GPU"):
            Explainer(graph("smooth"), channels_last=True, **more)
    with pytest.raises(ProviderError, match=f"channels_last order, {TENSORRT} cannot: leave it out"):
        OnnxDeviceSession(
            graph("smooth"),
            FakeCuda(),
            Options(providers=(TENSORRT, *opening.CUDA), threads=1, channels_last=True),
        )


def test_auto_goes_on_where_the_cpu_has_no_such_choice(graph, monkeypatch):
    def missing(providers):
        raise ProviderError("there is none")

    monkeypatch.setattr(opening, "require_providers", missing)
    with pytest.warns(RuntimeWarning, match="uses the CPU: there is none"):
        assert isinstance(
            open_session(graph("smooth"), Options(device="auto", channels_last=True)), OnnxSession
        )
