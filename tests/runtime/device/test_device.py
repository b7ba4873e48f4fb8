"""Lanes on a device: the engine, both backends and their bookkeeping, with the kernels' source on the CPU."""

from __future__ import annotations

import gc
import sys
import types

import numpy as np
import pytest
import torch
import torch_modules
from cuda_on_cpu import HostDevice
from sessions import DeviceLinear, LinearSession, some_images

from fluxpath.errors import FluxpathError, ProviderError
from fluxpath.export import gradient_from_torch
from fluxpath.runtime import AGI, BIG, MFABA, Explainer, GuidedIG, NeFLAG
from fluxpath.runtime.backends import onnx as session
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.backends.torchscript_device import TorchScriptDeviceSession
from fluxpath.runtime.device import cuda
from fluxpath.runtime.device.arrays import DeviceRows, DeviceVectors
from fluxpath.runtime.device.base import parse
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.lanes import Fresh, Lanes

METHODS = [
    MFABA(),
    MFABA(ascent="smooth", path="norm", step_size=0.02),
    MFABA(path="cosine"),
    NeFLAG(n=3, max_steps=4),
]
WALKS = [AGI(classes=2, choice="top"), BIG(integration_steps=5), GuidedIG(steps=7)]
"""Without kernels of their own."""


def compare(given, expected):
    for name in ("target", "label", "steps", "status"):
        np.testing.assert_array_equal(getattr(given, name), getattr(expected, name), err_msg=name)
    np.testing.assert_allclose(given.score, expected.score, rtol=1e-5)
    np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)


def test_the_engine_gives_the_same_on_a_device():
    """More images than slots, so that lanes are refilled and moved."""
    with (
        Explainer.from_session(DeviceLinear(), slots=4) as there,
        Explainer.from_session(LinearSession(), slots=4) as here,
    ):
        futures = [
            (there.submit(images, method=m), here.submit(images, method=m))
            for k, m in enumerate([*METHODS, *WALKS])
            for images in [some_images(5, seed=k)]
        ]
        for given, expected in futures:
            compare(given.result(60), expected.result(60))


def test_onnx_runtime_works_in_place_on_the_devices_memory(graph):
    device = HostDevice()
    session = OnnxDeviceSession(graph("linear"), device, Options(providers=opening.CPU, threads=1))
    images = np.random.default_rng(0).random((5, *session.manifest.shape)).astype(np.float32)
    with Explainer.from_session(session, slots=3) as there, Explainer(graph("linear"), threads=1) as here:
        for method in METHODS:
            compare(there.attribute(images, method=method), here.attribute(images, method=method))


def test_torch_works_in_place_on_the_devices_memory(tmp_path):
    path = tmp_path / "model.grad.pt"
    gradient_from_torch(torch_modules.made(torch_modules.tiny), torch.zeros(1, 6), path)
    session = TorchScriptDeviceSession(path, HostDevice(), Options(threads=1))
    images = np.random.default_rng(0).random((3, *session.manifest.shape)).astype(np.float32)
    with Explainer.from_session(session, slots=2) as there, Explainer(path, threads=1) as here:
        for method in (MFABA(), AGI(classes=2, choice="top", max_steps=4)):
            compare(there.attribute(images, method=method), here.attribute(images, method=method))


def test_a_tick_brings_one_small_block_to_the_host():
    session = DeviceLinear()
    lanes = DeviceLanes(session.device, 2, (6,), 0.0, 1.0)
    lanes.fill([Fresh(slot, image, -1, slot) for slot, image in enumerate(some_images(2))])
    lanes.gradient[:], lanes.scale[:], lanes.label[:] = 1.0, 1.0, 1
    method, slots = MFABA(), np.arange(2, dtype=np.int32)
    for tick in range(2):
        session.device.log.clear()
        lanes.changed()
        lanes.note_start(2)
        method.advance(lanes, slots)
        assert not np.flatnonzero(lanes.status[:2]).size and lanes.step[0] == tick + 1
        copies = [name for name, _ in session.device.log if name in ("upload", "download")]
        assert copies == (["upload", "download"] if tick == 0 else ["download"])


def test_lanes_must_be_on_the_sessions_device(graph):
    session = OnnxDeviceSession(graph("linear"), HostDevice(), Options(providers=opening.CPU, threads=1))
    for lanes in (
        Lanes(1, session.manifest.shape, 0, 1),
        DeviceLanes(HostDevice(), 1, session.manifest.shape, 0, 1),
    ):
        with pytest.raises(FluxpathError, match="not on the session's device"):
            session.bind(lanes)


def test_arrays_are_indexed_like_numpys_and_give_their_memory_back():
    device = HostDevice()
    rows = DeviceRows(device, (4, 3), np.float32)
    vectors = DeviceVectors(device, 4, {"step": np.int32, "label": np.int64})
    step = vectors.vectors["step"]
    true = np.arange(12, dtype=np.float32).reshape(4, 3)
    rows[:] = true
    rows[np.array([0, 2])] += 1
    rows[3] = 7.0
    true[[0, 2]] += 1
    true[3] = 7.0
    step[:] = 5
    step[np.array([1, 2])] = [8, 9]
    np.testing.assert_array_equal(rows[:], true)
    np.testing.assert_array_equal(rows[1:3], true[1:3])
    np.testing.assert_array_equal(rows[2], true[2])
    np.testing.assert_array_equal(rows[np.array([False, True, False, True])], true[[1, 3]])
    device.log.clear()
    rows[np.array([3, 0, 1])] = true[2]
    true[[3, 0, 1]] = true[2]
    np.testing.assert_array_equal(rows[:], true)
    assert [entry for entry in device.log if entry[0] == "upload"] == [("upload", 12)]
    vectors.changed()
    assert step[:].tolist() == [5, 8, 9, 5] and step[2] == 9
    for array in (rows, step):
        with pytest.raises(ValueError, match="read-only"):
            array[:2][0] = 1
    del rows, step, vectors, array
    gc.collect()
    assert not device.memory


@pytest.mark.parametrize(
    ("text", "meant"),
    [("cpu", ("cpu", 0)), ("cuda", ("cuda", 0)), ("cuda:3", ("cuda", 3)), ("auto", ("auto", 0))],
)
def test_devices_by_name(text, meant):
    assert parse(text) == meant


@pytest.mark.parametrize("text", ["", "cuda:", "cuda:-1", "CUDA", "cpu:0", "cuda:x"])
def test_a_device_that_has_no_such_name(text):
    with pytest.raises(ProviderError, match="it must be 'cpu', 'cuda', 'cuda:1'"):
        parse(text)


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


def test_libraries_are_looked_for_in_packages_first(monkeypatch, capsys):
    looked = []

    def preload():
        looked.append(1)
        print("Failed to load libcudnn.so.9")
        raise OSError("no such library")

    opening._find_libraries(types.SimpleNamespace(preload_dlls=preload))
    opening._find_libraries(types.SimpleNamespace())
    assert looked == [1] and capsys.readouterr().out == ""


def fake_driver(monkeypatch, count):
    """A driver that finds `count` devices, or does not answer where that is None."""

    def init(flags):
        if count is None:
            raise RuntimeError("libcuda.so.1 was not found")
        return (0,)

    driver = types.SimpleNamespace(cuInit=init, cuDeviceGetCount=lambda: (0, count))
    monkeypatch.setattr(cuda, "_driver", lambda: driver)


def test_a_driver_or_device_that_is_not_there(monkeypatch):
    fake_driver(monkeypatch, None)
    with pytest.raises(ProviderError, match=r"no NVIDIA driver answers here \(libcuda.so.1 was not found\)"):
        cuda.CudaDevice()
    fake_driver(monkeypatch, 1)
    with pytest.raises(ProviderError, match="there is no CUDA device 2 here, it has 1"):
        cuda.CudaDevice(2)


def test_bindings_that_are_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(ProviderError, match=r'not installed: pip install "fluxpath\[cuda\]"'):
        cuda.CudaDevice()
