"""Which backend opens a file, and on which device."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest
from cuda_on_cpu import HostDevice

from fluxpath.errors import ProviderError
from fluxpath.runtime import Explainer
from fluxpath.runtime.backends import opening
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


def test_libraries_are_looked_for_in_packages_first(monkeypatch, capsys):
    looked = []

    def preload():
        looked.append(1)
        print("Failed to load libcudnn.so.9")
        raise OSError("no such library")

    opening._find_libraries(types.SimpleNamespace(preload_dlls=preload))
    opening._find_libraries(types.SimpleNamespace())
    assert looked == [1] and capsys.readouterr().out == ""


@pytest.mark.parametrize("providers", [["NoSuchExecutionProvider"], ["CPUExecutionProvider", "TPU"]])
def test_a_provider_that_is_not_there(graph, providers):
    with pytest.raises(ProviderError, match=rf"'{providers[-1]}' here, it has .*CPUExecutionProvider"):
        Explainer(graph("linear"), providers=providers)


def test_a_device_that_is_not_there(graph):
    import onnxruntime

    with pytest.raises(ProviderError, match="device is 'tpu', it must be 'cpu', 'cuda', 'cuda:1'"):
        Explainer(graph("linear"), device="tpu")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(ProviderError, match="'CUDAExecutionProvider' here, it has"):
            Explainer(graph("linear"), device="cuda")


def test_onnxruntime_that_is_not_there(graph, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ProviderError, match=r'onnxruntime is not installed: pip install "fluxpath\[cpu\]"'):
        Explainer(graph("linear"))
