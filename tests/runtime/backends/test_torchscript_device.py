"""TorchScript on a device: in place, and captured or not."""

from __future__ import annotations

import inspect
import logging

import numpy as np
import pytest
import torch
import torch_modules
from cuda_on_cpu import FakeCuda, HostDevice
from on_devices import compare, compare_with_host

from fluxpath.errors import FluxpathError, OutOfMemoryError
from fluxpath.export import gradient_from_torch
from fluxpath.runtime import AGI, MFABA, Explainer
from fluxpath.runtime.backends import torchscript_device
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.torchscript import TorchScriptSession
from fluxpath.runtime.backends.torchscript_device import TorchScriptDeviceSession


def test_torch_works_in_place_on_the_devices_memory(tmp_path):
    path = tmp_path / "model.grad.pt"
    gradient_from_torch(torch_modules.made(torch_modules.tiny), torch.zeros(1, 6), path)
    session = TorchScriptDeviceSession(path, HostDevice(), Options(threads=1))
    images = np.random.default_rng(0).random((3, *session.manifest.shape)).astype(np.float32)
    with Explainer.from_session(session, slots=2) as there, Explainer(path, threads=1) as here:
        assert (there.device, here.device) == ("cpu:0", "cpu"), "where it runs"
        for method in (MFABA(), AGI(classes=2, choice="top", max_steps=4)):
            compare(there.attribute(images, method=method), here.attribute(images, method=method))


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "model.grad.pt"
    gradient_from_torch(torch_modules.made(torch_modules.tiny), torch.zeros(1, 6), path)
    return path


def test_torch_with_rounded_batches_gives_the_same(script):
    session = TorchScriptDeviceSession(script, HostDevice(), Options(threads=1))
    images = np.random.default_rng(0).random((13, 6)).astype(np.float32)
    compare_with_host(session, script, images, 6)
    assert len(session._graphs) > 1


def test_torch_goes_on_where_a_capture_fails(script, monkeypatch, caplog):
    def refuse(self, size):
        raise RuntimeError("CUDA error: operation would make the legacy stream depend on a capture")

    monkeypatch.setattr(TorchScriptDeviceSession, "_captured", refuse)
    session = TorchScriptDeviceSession(script, HostDevice(), Options(threads=1))
    with caplog.at_level(logging.WARNING, "fluxpath"):
        compare_with_host(session, script, np.random.default_rng(0).random((9, 6)).astype(np.float32), 4)
    assert len(caplog.records) == 1 and not session._graphs


@pytest.mark.parametrize("allowed", [False, True])
def test_tf32_is_asked_for(script, monkeypatch, allowed):
    found = []

    def opened(self, path, *more):
        self._torch, self._device = torch, torch.device("cpu")

    monkeypatch.setattr(TorchScriptSession, "__init__", opened)
    for name in ("ExternalStream", "synchronize"):  # torch has neither without a GPU
        monkeypatch.setattr(torch.cuda, name, lambda *_, **__: found.append(True))
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        TorchScriptDeviceSession(script, FakeCuda(), Options(tf32=allowed))
        found = [torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32]
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    assert found == [allowed, allowed]


def test_torch_takes_these_arguments():
    inspect.signature(torch.cuda.graph).bind(None, None, None, capture_error_mode="thread_local")


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("in the interpreter: out of memory")]
)
def test_torchs_missing_memory_halves_the_slots(script, monkeypatch, error):
    """torch names it one way by itself and another way out of TorchScript's interpreter."""
    session = TorchScriptDeviceSession(script, HostDevice(), Options(threads=1, capture=False))
    module, sizes = session._module, []

    def limited(image, *more):
        sizes.append(len(image))
        if len(image) > 2:
            raise error
        return module(image, *more)

    session._module = limited
    compare_with_host(session, script, np.random.default_rng(0).random((9, 6)).astype(np.float32), 8)
    assert max(sizes) == 8 and min(sizes) <= 2


def test_missing_memory_at_a_capture_halves_the_slots_and_captures_go_on(script, monkeypatch):
    captured = TorchScriptDeviceSession._captured

    def limited(self, size):
        if size > 4:
            raise OutOfMemoryError("CUDA out of memory")
        return captured(self, size)

    monkeypatch.setattr(TorchScriptDeviceSession, "_captured", limited)
    session = TorchScriptDeviceSession(script, HostDevice(), Options(threads=1))
    compare_with_host(session, script, np.random.default_rng(0).random((40, 6)).astype(np.float32), 8)
    assert session._captures._allowed and session._graphs


def test_a_module_that_fails_is_told_in_our_words_also_in_its_first_run(script, monkeypatch):
    monkeypatch.setattr(torchscript_device, "FUSED", ("cpu",))
    session = TorchScriptDeviceSession(script, HostDevice(), Options(threads=1))

    def broken(*_):
        raise RuntimeError("cuDNN is not there")

    session._module = broken
    with (
        Explainer.from_session(session, slots=2) as explainer,
        pytest.raises(FluxpathError, match="torch failed on the gradient graph: cuDNN is not there"),
    ):
        explainer.attribute(np.zeros((1, 6), np.float32))
