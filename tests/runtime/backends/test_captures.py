"""Captured evaluations: which batch sizes, what the further slots see of it, and going on without."""

from __future__ import annotations

import inspect
import logging
import threading
import types

import models
import numpy as np
import pytest
import torch
import torch_modules
from cuda_on_cpu import FakeCuda, HostDevice

from fluxpath.errors import ArtifactError
from fluxpath.export import gradient_from_torch
from fluxpath.runtime import MFABA, Explainer, NeFLAG, OnnxSession
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.captures import PLAIN_RUNS, Captures, bucket
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.backends.torchscript import TorchScriptSession
from fluxpath.runtime.backends.torchscript_device import TorchScriptDeviceSession
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.lanes import Fresh


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 8, 31, 32, 256])
def test_buckets(slots):
    sizes = [bucket(count, slots) for count in range(1, slots + 1)]
    for count, size in enumerate(sizes, 1):
        assert count <= size <= slots and size < 1.5 * count and bucket(size, slots) == size
    assert len(set(sizes)) <= 2 * np.log2(slots) + 2


def test_a_size_is_captured_when_it_recurs():
    captures = Captures()
    captures.bind(16)
    assert [captures.choose(count) for count in (9, 12, 10)] == [(9, None), (12, None), (10, None)]
    assert PLAIN_RUNS == 3
    assert captures.choose(11) == (12, 1)
    assert captures.choose(9) == (12, 1)
    assert [captures.choose(16) for _ in range(5)] == [(16, None)] * 3 + [(16, 2)] * 2


def test_other_memory_gets_other_numbers():
    """A number stands for addresses that were captured; reusing it would run on memory that is gone."""
    captures = Captures()
    seen = set()
    for _ in range(3):
        captures.bind(4)
        chosen = [captures.choose(4) for _ in range(PLAIN_RUNS + 1)]
        assert chosen[:-1] == [(4, None)] * PLAIN_RUNS
        seen.add(chosen[-1][1])
    assert len(seen) == 3


def test_a_thread_captures_for_itself_where_the_backend_does():
    def in_a_thread(captures):
        found = []
        thread = threading.Thread(target=lambda: found.append(captures.choose(1)))
        thread.start()
        thread.join()
        return found[0]

    for per_thread, elsewhere in ((True, (1, None)), (False, (1, 1))):
        captures = Captures(per_thread=per_thread)
        for _ in range(PLAIN_RUNS + 1):
            here = captures.choose(1)
        assert here == (1, 1)
        assert in_a_thread(captures) == elsewhere


def test_giving_up_is_said_once(caplog):
    captures = Captures()
    with caplog.at_level(logging.WARNING, "fluxpath"):
        captures.give_up("no reason")
        captures.give_up("another")
    assert [record.getMessage() for record in caplog.records] == [
        "evaluations are not captured as CUDA graphs: no reason"
    ]
    assert all(captures.choose(1) == (1, None) for _ in range(PLAIN_RUNS + 2))
    assert all(Captures(allowed=False).choose(1) == (1, None) for _ in range(PLAIN_RUNS + 2))


@pytest.mark.parametrize("allowed", [True, False])
def test_where_new_sizes_are_dear_all_runs_are_rounded(allowed):
    captures = Captures(allowed, rounded=True)
    captures.bind(16)
    assert captures.choose(9) == (12, None)
    assert captures.choose(10) == (12, 1 if allowed else None)


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


def attributed(session, path, images, slots):
    """On the session and on the CPU."""
    with Explainer.from_session(session, slots=slots) as there, Explainer(path, threads=1) as here:
        return [
            (there.attribute(images[:n], method=m), here.attribute(images[:n], method=m))
            for m in (MFABA(), NeFLAG(n=3, max_steps=4))
            for n in (len(images), 5, 4, 5)
        ]


def assert_close(pairs):
    for given, expected in pairs:
        np.testing.assert_array_equal(given.steps, expected.steps)
        np.testing.assert_array_equal(given.status, expected.status)
        np.testing.assert_allclose(given.score, expected.score, rtol=1e-5)
        np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)


def test_onnx_runtime_with_rounded_batches_gives_the_same(graph):
    session = OnnxDeviceSession(graph("relu"), HostDevice(), Options(providers=opening.CPU, threads=1))
    session._session = spy = Spy(session)
    assert_close(attributed(session, graph("relu"), models.images("relu", 13), 6))
    captured = {run for run in spy.runs if run[0] > 0}
    numbers, sizes = zip(*captured, strict=True)
    assert len(set(numbers)) == len(set(sizes)) == len(captured) > 1
    assert {size for _, size in spy.runs} <= {1, 2, 3, 4, 6}
    assert any(number == -1 for number, _ in spy.runs)


def test_a_capture_that_fails_is_run_without(graph, caplog):
    def refuse(graph_number):
        if graph_number > 0:
            raise RuntimeError("operation not permitted when stream is capturing\nsecond line")

    session = OnnxDeviceSession(graph("relu"), HostDevice(), Options(providers=opening.CPU, threads=1))
    session._session = spy = Spy(session, refuse)
    with caplog.at_level(logging.WARNING, "fluxpath"):
        assert_close(attributed(session, graph("relu"), models.images("relu", 13), 6))
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


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "model.grad.pt"
    gradient_from_torch(torch_modules.made(torch_modules.tiny), torch.zeros(1, 6), path)
    return path


def test_torch_with_rounded_batches_gives_the_same(script):
    session = TorchScriptDeviceSession(script, HostDevice(), Options(threads=1))
    images = np.random.default_rng(0).random((13, 6)).astype(np.float32)
    assert_close(attributed(session, script, images, 6))
    assert len(session._graphs) > 1


def test_torch_goes_on_where_a_capture_fails(script, monkeypatch, caplog):
    def refuse(self, size):
        raise RuntimeError("CUDA error: operation would make the legacy stream depend on a capture")

    monkeypatch.setattr(TorchScriptDeviceSession, "_captured", refuse)
    session = TorchScriptDeviceSession(script, HostDevice(), Options(threads=1))
    with caplog.at_level(logging.WARNING, "fluxpath"):
        assert_close(
            attributed(session, script, np.random.default_rng(0).random((9, 6)).astype(np.float32), 4)
        )
    assert len(caplog.records) == 1 and not session._graphs


@pytest.mark.parametrize("allowed", [False, True])
def test_tf32_is_asked_for(script, monkeypatch, allowed):
    found = []

    def opened(self, path, *more):
        self._torch = torch

    monkeypatch.setattr(TorchScriptSession, "__init__", opened)
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        TorchScriptDeviceSession(script, FakeCuda(), Options(tf32=allowed))
        found = [torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32]
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
    assert found == [allowed, allowed]


def test_torch_takes_these_arguments():
    inspect.signature(torch.cuda.graph).bind(None, None, None, capture_error_mode="thread_local")


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
