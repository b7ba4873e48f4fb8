"""ONNX Runtime on a device: in place, captured or not, and what its providers are told."""

from __future__ import annotations

import logging
import types

import models
import numpy as np
import pytest
from cuda_on_cpu import FakeCuda, HostDevice
from on_devices import METHODS, compare, compare_with_host

from fluxpath.errors import ArtifactError, OutOfMemoryError, ProviderError
from fluxpath.runtime import MFABA, Explainer, OnnxSession
from fluxpath.runtime.backends import onnx, onnx_device, opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.captures import PLAIN_RUNS
from fluxpath.runtime.backends.onnx import device_option
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.lanes import Fresh


def test_onnx_runtime_works_in_place_on_the_devices_memory(graph):
    device = HostDevice()
    session = OnnxDeviceSession(graph("linear"), device, Options(providers=opening.CPU, threads=1))
    images = np.random.default_rng(0).random((5, *session.manifest.shape)).astype(np.float32)
    with Explainer.from_session(session, slots=3) as there, Explainer(graph("linear"), threads=1) as here:
        assert (there.device, here.device) == ("cpu:0", "cpu"), "where it runs"
        for method in METHODS:
            compare(there.attribute(images, method=method), here.attribute(images, method=method))


def test_a_file_is_read_once(graph, monkeypatch):
    """Also where it cannot be captured, and is opened again without: another may lie there by then."""
    path, read, opened = graph("linear"), [], []
    original, begin = onnx_device.read_sealed, OnnxSession._opened

    def reading(path):
        read.append(path)
        return original(path)

    def failing(self, *given):
        opened.append(given)
        if len(opened) == 1:
            raise ArtifactError("it cannot be captured")
        return begin(self, *given)

    for module in (onnx_device, onnx):
        monkeypatch.setattr(module, "read_sealed", reading)
    monkeypatch.setattr(OnnxSession, "_opened", failing)
    device = HostDevice()
    monkeypatch.setattr(type(device), "kind", "cuda")
    OnnxDeviceSession(path, device, Options(providers=opening.CPU, threads=1))
    assert len(read) == 1 and len(opened) == 2


def on_the_cpu(original):
    def opened(self, path, providers, threads, options):
        original(self, path, opening.CPU, threads)

    return opened


def test_a_provider_that_cannot_be_started_is_named(graph, monkeypatch):
    """ONNX Runtime lists it and then goes on without it, on memory that the next one cannot read."""
    monkeypatch.setattr(OnnxSession, "__init__", on_the_cpu(OnnxSession.__init__))
    start = "cannot start CUDAExecutionProvider, as when CUDA or cuDNN libraries are missing"
    for missing, said in (([], ": pip"), (["a.so.1", "b.so"], r" \(not found: a.so.1, b.so\): pip")):
        monkeypatch.setattr(onnx_device, "load_libraries", lambda ort, missing=missing: missing)
        with pytest.raises(ProviderError, match=start + said):
            OnnxDeviceSession(graph("linear"), HostDevice(), Options(providers=opening.CUDA, threads=1))


class Spy:
    """Stands before an ONNX Runtime session: which graph each run had, and what it does to it."""

    def __init__(self, session, before=lambda graph: None):
        self._session, self._inner, self._before = session, session._session, before
        self.runs = []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def run_with_iobinding(self, binding, options):
        graph = next(g for g, o in self._session._graph_options.items() if o is options)
        self.runs.append((graph, next(n for n, b in self._session._bindings.items() if b is binding)))
        self._before(graph)
        self._inner.run_with_iobinding(binding, options)


@pytest.mark.parametrize("capture", [True, False])
def test_onnx_runtime_with_rounded_batches_gives_the_same(graph, capture):
    options = Options(providers=opening.CPU, threads=1, capture=capture)
    session = OnnxDeviceSession(graph("relu"), HostDevice(), options)
    session._session = spy = Spy(session)
    compare_with_host(session, graph("relu"), models.images("relu", 13), 6)
    numbers, sizes = zip(*set(spy.runs), strict=True)
    assert 1 < len(sizes) == len(set(sizes)) and set(sizes) <= {1, 2, 3, 4, 6}
    assert min(numbers) > 0 and len(set(numbers)) == len(numbers) if capture else set(numbers) == {-1}


def test_a_capture_that_fails_is_run_without(graph, caplog):
    def refuse(graph_number):
        if graph_number > 0:
            raise RuntimeError("operation not permitted when stream is capturing\nsecond line")

    session = OnnxDeviceSession(graph("relu"), HostDevice(), Options(providers=opening.CPU, threads=1))
    session._session = spy = Spy(session, refuse)
    with caplog.at_level(logging.WARNING, "fluxpath"):
        compare_with_host(session, graph("relu"), models.images("relu", 13), 6)
    assert sum(number > 0 for number, _ in spy.runs) == 1
    assert [r.getMessage() for r in caplog.records] == [
        "evaluations are not captured as CUDA graphs: operation not permitted when stream is capturing"
    ]


@pytest.mark.parametrize("refused", [True, False])
def test_a_graph_that_the_provider_cannot_capture_is_opened_without(graph, monkeypatch, caplog, refused):
    given = []
    original = OnnxSession.__init__

    def opened(self, path, providers, threads, options):
        given.append(options[0])
        if refused and options[0]["enable_cuda_graph"] == "1":
            raise ArtifactError("nodes have not been partitioned to the CUDAExecutionProvider")
        original(self, path, opening.CPU, threads)
        self._session = types.SimpleNamespace(get_providers=lambda: list(opening.CUDA))

    monkeypatch.setattr(OnnxSession, "__init__", opened)
    with caplog.at_level(logging.WARNING, "fluxpath"):
        session = OnnxDeviceSession(graph("smooth"), FakeCuda(), Options(providers=opening.CUDA, threads=1))
    assert [o["enable_cuda_graph"] for o in given] == (["1", "0"] if refused else ["1"])
    assert given[0]["user_compute_stream"] == "77" and given[0]["use_tf32"] == "0"
    assert ("have not been partitioned" in caplog.text) == refused
    chosen = [session._captures.choose(1) for _ in range(PLAIN_RUNS + 1)]
    assert (chosen[-1] == (1, None)) == refused


@pytest.mark.parametrize(("precision", "tf32"), [("float32", "0"), ("float16", "1")])
def test_tensor_cores_are_for_16_bits_always(graph, monkeypatch, precision, tf32):
    given = []

    def opened(self, path, providers, threads, options):
        given.append(options[0]["use_tf32"])
        self._session = types.SimpleNamespace(get_providers=lambda: list(opening.CUDA))

    monkeypatch.setattr(OnnxSession, "__init__", opened)
    OnnxDeviceSession(
        graph("smooth", precision=precision), FakeCuda(), Options(providers=opening.CUDA, threads=1)
    )
    assert given == [tf32]


def test_a_bad_file_is_named_and_not_captures(tmp_path, caplog):
    (tmp_path / "g.onnx").write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match="no intact gradient graph"):
        OnnxDeviceSession(tmp_path / "g.onnx", FakeCuda(), Options(providers=opening.CPU, threads=1))
    assert not caplog.records


def test_slots_beyond_those_asked_for_keep_their_lanes(graph):
    """Slots 5 to 7 hold lanes, of which one has ended; the batch of 5 is rounded up to 6."""
    device = HostDevice()
    session = OnnxDeviceSession(graph("relu"), device, Options(providers=opening.CPU, threads=1))
    lanes = DeviceLanes(device, 8, models.shape_of("relu"), 0.0, 1.0)
    session.bind(lanes)
    lanes.fill([Fresh(slot, x.ravel(), -1, slot) for slot, x in enumerate(models.images("relu", 8))])
    lanes.status[np.array([6])] = 3
    kept = ("image", "point", "pending", "sum", "status", "step", "target", "begun", "number")
    before = {name: getattr(lanes, name)[5:] for name in kept}
    slots, method = np.arange(5, dtype=np.int32), MFABA()
    for _ in range(PLAIN_RUNS + 2):
        session.run(5)
        lanes.note_start(5)
        method.advance(lanes, slots)
    assert session._captures.choose(5) == (6, 1)
    for name in kept:
        np.testing.assert_array_equal(getattr(lanes, name)[5:], before[name], err_msg=name)
    assert (lanes.begun[:5] == 1).all() and (lanes.step[:5] > 0).any()


@pytest.mark.parametrize("channels_last", [False, True])
def test_onnx_runtime_s_cuda_provider_is_told(graph, opened, channels_last):
    OnnxDeviceSession(
        graph("smooth"), FakeCuda(), Options(providers=opening.CUDA, threads=1, channels_last=channels_last)
    )
    assert opened[0]["CUDAExecutionProvider"]["prefer_nhwc"] == str(int(channels_last))


def test_cudnn_is_asked_for_plans_in_little_time(graph, opened):
    OnnxDeviceSession(graph("smooth"), FakeCuda(), Options(providers=opening.CUDA, threads=1))
    assert opened[0]["CUDAExecutionProvider"]["cudnn_conv_algo_search"] == "HEURISTIC"


@pytest.mark.parametrize(("number", "named"), [(0, {}), (2, {"device_id": "2"})])
def test_only_another_than_the_first_gpu_is_named(number, named):
    """ONNX Runtime warns on stderr about every session that names one."""
    assert device_option(number) == named


def test_missing_memory_does_not_end_capturing(graph, caplog):
    def refuse(graph_number):
        if len(spy.runs) == 1:
            raise RuntimeError("Failed to allocate memory for requested buffer of size 1")

    session = OnnxDeviceSession(graph("relu"), HostDevice(), Options(providers=opening.CPU, threads=1))
    session.bind(DeviceLanes(session.device, 8, models.shape_of("relu"), 0.0, 1.0))
    session._session = spy = Spy(session, refuse)
    with pytest.raises(OutOfMemoryError):
        session.run(8)
    session.run(4)
    assert spy.runs == [(1, 8), (2, 4)] and not caplog.records


def test_a_size_without_memory_is_not_tried_again(graph):
    """Where sizes are kept, one that failed must not be used for half as many slots."""
    session = OnnxDeviceSession(
        graph("relu"), HostDevice(), Options(providers=opening.CPU, threads=1, capture=False)
    )

    def refuse(graph_number):
        if session._captures.choose(5) == (8, None):
            raise RuntimeError("Failed to allocate memory for requested buffer of size 1")

    lanes = DeviceLanes(session.device, 8, models.shape_of("relu"), 0.0, 1.0)
    session.bind(lanes)
    session._session = spy = Spy(session, refuse)
    with pytest.raises(OutOfMemoryError):
        session.run(8)
    session.run(4)
    assert spy.runs == [(-1, 8), (-1, 4)]
