"""The machine code of the kernels on disk: found again, mended, shared by processes; missing parts."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

from fluxpath.errors import ProviderError
from fluxpath.kernels import gpu

pytest.importorskip("cuda.core", reason="cuda-core compiles CUDA without a GPU", exc_type=ImportError)


@pytest.fixture
def compiler(monkeypatch):
    """Counts compilations, each of other code."""
    calls = []

    def compile_cubin(arch):
        calls.append(arch)
        return f"code {len(calls)} for {arch}".encode()

    monkeypatch.setattr(gpu, "compile_cubin", compile_cubin)
    return calls


def test_the_second_time_nothing_is_compiled(tmp_path, compiler):
    assert gpu.cubin("sm_90", tmp_path) == gpu.cubin("sm_90", tmp_path) == b"code 1 for sm_90"
    assert gpu.cubin("sm_80", tmp_path) == b"code 2 for sm_80"
    assert compiler == ["sm_90", "sm_80"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("spoil", [lambda d: d[:-1], lambda d: b"", lambda d: d[:40] + b"x" + d[41:]])
def test_an_entry_that_was_damaged_is_compiled_anew(tmp_path, compiler, spoil):
    gpu.cubin("sm_90", tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(spoil(entry.read_bytes()))
    assert gpu.cubin("sm_90", tmp_path) == gpu.cubin("sm_90", tmp_path) == b"code 2 for sm_90"


def test_another_compiler_or_source_is_another_entry(tmp_path, compiler, monkeypatch):
    gpu.cubin("sm_90", tmp_path)
    monkeypatch.setattr(gpu, "_nvrtc_version", lambda: (99, 0))
    gpu.cubin("sm_90", tmp_path)
    monkeypatch.setattr(gpu, "INCLUDES", gpu.INCLUDES[:1])
    gpu.cubin("sm_90", tmp_path)
    assert len(compiler) == 3


def test_a_folder_that_cannot_be_made_costs_a_compilation_only(tmp_path, compiler):
    (tmp_path / "file").write_text("")
    assert gpu.cubin("sm_90", tmp_path / "file" / "cache") == b"code 1 for sm_90"


def test_two_processes_at_once(tmp_path):
    call = f"gpu.cubin('sm_90', Path({str(tmp_path)!r}))"
    script = f"from pathlib import Path\nfrom fluxpath.kernels import gpu\n{call}"
    both = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    (entry,) = tmp_path.iterdir()
    assert gpu.cubin("sm_90", tmp_path)[:4] == b"\x7fELF" and entry.exists()


def test_the_cache_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert gpu.cache_folder() == tmp_path / "fluxpath"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert gpu.cache_folder() == tmp_path / ".cache" / "fluxpath"


def test_cuda_core_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    with pytest.raises(
        ProviderError, match=r'cuda-core, which is not installed: pip install "fluxpath\[cuda'
    ):
        gpu.cubin("sm_90", tmp_path)


def test_cuda_core_before_its_names_moved(monkeypatch):
    """Until 0.4 the package itself holds nothing but its version."""
    old, inner = ModuleType("cuda.core"), ModuleType("cuda.core.experimental")
    monkeypatch.setitem(sys.modules, "cuda.core", old)
    monkeypatch.setitem(sys.modules, "cuda.core.experimental", inner)
    assert gpu._core() is inner
    old.Program = object
    assert gpu._core() is old


def test_nvrtc_that_is_not_there(monkeypatch, tmp_path):
    from cuda.bindings import nvrtc

    def missing():
        raise RuntimeError("libnvrtc.so was not found")

    monkeypatch.setattr(nvrtc, "nvrtcVersion", missing)
    with pytest.raises(ProviderError, match="need NVRTC, which cannot be loaded"):
        gpu.cubin("sm_90", tmp_path)


def test_an_architecture_that_is_not_there():
    with pytest.raises(ProviderError, match="do not compile for sm_1 with this NVRTC"):
        gpu.compile_cubin("sm_1")
