"""What ONNX Runtime's TensorRT provider is told; TensorRT itself needs a GPU."""

from __future__ import annotations

import shutil
import types
from dataclasses import replace

import pytest
from cuda_on_cpu import FakeCuda

from fluxpath.errors import ProviderError
from fluxpath.manifest import Companion
from fluxpath.runtime.backends import onnx_device as device_session
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx import OnnxSession
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.backends.opening import read_manifest
from fluxpath.runtime.backends.tensorrt import TENSORRT, tensorrt_options
from fluxpath.seal import unseal

PROVIDERS = (TENSORRT, "CUDAExecutionProvider", "CPUExecutionProvider")


def digest(path):
    return unseal(path.read_bytes()).sha256


@pytest.fixture(autouse=True)
def float32_stays_float32(monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")


def test_one_engine_is_for_all_batch_sizes(graph):
    path = graph("smooth")
    manifest = read_manifest(path)
    options = tensorrt_options(FakeCuda(), digest(path), manifest, 24)
    sizes = "x".join(map(str, manifest.shape))
    for bound, batch in (("min", 1), ("opt", 24), ("max", 24)):
        assert options[f"trt_profile_{bound}_shapes"] == f"{manifest.input}:{batch}x{sizes},target:{batch}"
    assert options["user_compute_stream"] == "77" and "device_id" not in options


def test_further_inputs_have_their_sizes_too(graph):
    path = graph("smooth")
    mask = Companion(name="mask", dtype="int64", shape=(7,))
    options = tensorrt_options(FakeCuda(), digest(path), replace(read_manifest(path), companions=(mask,)), 3)
    assert options["trt_profile_max_shapes"].endswith(",target:3,mask:3x7")


@pytest.mark.parametrize("change", [{"shape": (3, None, 8)}, {"input": "image:0"}, {"input": "a,b"}])
def test_without_sizes_or_names_that_fit_there_is_no_profile(graph, change):
    path = graph("smooth")
    options = tensorrt_options(FakeCuda(), digest(path), replace(read_manifest(path), **change), 3)
    assert not [name for name in options if "profile" in name]


def test_engines_of_two_files_are_kept_apart(graph, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first, other = graph("smooth"), graph("linear")
    again = shutil.copy(first, tmp_path / "moved.onnx")
    folders = [
        tensorrt_options(FakeCuda(), digest(path), read_manifest(path), 3)["trt_engine_cache_path"]
        for path in (first, again, other)
    ]
    assert folders[0] == folders[1] != folders[2]
    assert folders[0].startswith(str(tmp_path / "cache"))


def test_both_providers_work_on_the_stream_and_nothing_is_captured(graph, opened):
    session = OnnxDeviceSession(graph("smooth"), FakeCuda(), Options(providers=PROVIDERS, threads=1, most=5))
    (given,) = opened
    assert {given[name]["user_compute_stream"] for name in PROVIDERS[:2]} == {"77"}
    assert given["CUDAExecutionProvider"]["enable_cuda_graph"] == "0"
    assert given[TENSORRT]["trt_profile_max_shapes"].endswith("target:5")
    session._captures.bind(8)
    assert {session._captures.choose(3) for _ in range(9)} == {(3, None)}


@pytest.mark.parametrize(
    ("precision", "tf32", "variable", "refused"),
    [
        ("float32", False, None, True),
        ("float32", False, "1", True),
        ("float32", False, "0", False),
        ("float32", True, None, False),
        ("float16", False, None, False),
    ],
)
def test_float32_is_not_rounded_unasked(graph, monkeypatch, opened, precision, tf32, variable, refused):
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    if variable is not None:
        monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", variable)
    path = graph("smooth", precision=precision)
    if refused:
        with pytest.raises(ProviderError, match="set NVIDIA_TF32_OVERRIDE=0 before the process starts"):
            OnnxDeviceSession(path, FakeCuda(), Options(providers=PROVIDERS, threads=1, tf32=tf32))
    else:
        OnnxDeviceSession(path, FakeCuda(), Options(providers=PROVIDERS, threads=1, tf32=tf32))
    assert len(opened) == (not refused)


def test_libraries_that_are_missing_are_named(graph, opened, monkeypatch):
    instead = OnnxSession.__init__

    def without(self, *arguments, **settings):
        instead(self, *arguments, **settings)
        self._session = types.SimpleNamespace(get_providers=lambda: list(PROVIDERS[1:]))

    path = graph("smooth")
    monkeypatch.setattr(device_session, "tensorrt_options", lambda *_: {})
    monkeypatch.setattr(device_session, "require_float32", lambda *_: None)
    monkeypatch.setattr(OnnxSession, "__init__", without)
    with pytest.raises(
        ProviderError, match=f"cannot start {TENSORRT}, as when TensorRT libraries are missing"
    ):
        OnnxDeviceSession(path, FakeCuda(), Options(providers=PROVIDERS, threads=1))
