"""Where CUDA and cuDNN are looked for, and what is said of those that are missing."""

from __future__ import annotations

import types

import pytest

from fluxpath.runtime.device import libraries
from fluxpath.runtime.device.libraries import load_libraries


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder on Python's path that has NVIDIA's packages, and not ONNX Runtime."""
    for package in ("cu13", "cudnn"):
        (tmp_path / "nvidia" / package / "lib").mkdir(parents=True)
    spec = types.SimpleNamespace(submodule_search_locations=[str(tmp_path / "no"), str(tmp_path / "nvidia")])
    monkeypatch.setattr(libraries.importlib.util, "find_spec", lambda name: spec)
    return (tmp_path / "nvidia").resolve()


def runtime_that(preload):
    return types.SimpleNamespace(preload_dlls=preload, cuda_version="13.0")


def test_packages_anywhere_on_the_path_come_first(elsewhere):
    calls = []
    load_libraries(runtime_that(lambda **given: calls.append(given)))
    assert calls == [
        {"directory": str(elsewhere / "cu13" / "lib"), "cudnn": False},
        {"directory": str(elsewhere / "cudnn" / "lib"), "cuda": False},
        {},
    ]


def test_what_is_missing_is_named_and_not_printed(elsewhere, monkeypatch, capsys):
    def preload(directory=None, **kind):
        print("Failed to load libcufft.so.12: it is in another folder" if directory else "")
        print("Failed to load /there/libcublas.so.13: it is damaged\nFailed to load libcublas.so.13: no")

    for found, missing in ((True, ["libcublas.so.13"]), (False, ["libcublas.so.13", "libcudnn.so.9"])):
        monkeypatch.setattr(libraries, "_loads", lambda name, found=found: found)
        assert load_libraries(runtime_that(preload)) == missing
    assert capsys.readouterr().out == ""


def test_a_search_that_fails_says_so(elsewhere):
    def preload(**kind):
        raise RuntimeError("Invalid parameter\nsecond line")

    assert load_libraries(runtime_that(preload)) == ["Invalid parameter"]


def test_without_packages_the_systems_libraries_are_left_to_onnx_runtime(monkeypatch):
    monkeypatch.setattr(libraries.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(libraries, "_loads", lambda name: True)
    calls = []
    assert load_libraries(runtime_that(lambda **given: calls.append(given))) == []
    assert calls == [{}]
    assert load_libraries(types.SimpleNamespace()) == []
