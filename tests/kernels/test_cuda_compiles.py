"""The CUDA source and the headers under it compile for the GPUs that matter, on a machine without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fluxpath import kernels
from fluxpath.kernels import gpu

core = pytest.importorskip(
    "cuda.core", reason="cuda-core with cuda-bindings compiles CUDA without a GPU", exc_type=ImportError
)

SOURCE = gpu.SOURCE
PARTS = "".join(p.read_text() for p in sorted(SOURCE.parent.iterdir()))
HEADERS = sorted(p.relative_to(kernels.INCLUDE).as_posix() for p in kernels.INCLUDE.rglob("*.h"))


def cubin(source: str, arch: str, include: Path = kernels.INCLUDE) -> bytes:
    options = core.ProgramOptions(std="c++17", arch=arch, include_path=[str(include), str(SOURCE.parent)])
    compiled = core.Program(source, "c++", options).compile("cubin")
    return bytes(compiled.code)


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_the_kernels_compile_to_a_cubin(arch):
    code = gpu.compile_cubin(arch)
    assert code[:4] == b"\x7fELF"
    for kernel in gpu.KERNELS:
        assert kernel.encode() in code


@pytest.mark.parametrize("header", HEADERS)
def test_each_header_compiles_alone_and_twice(header):
    """Headers include what they use, and a second inclusion changes nothing."""
    source = f'#include "{header}"\n#include "{header}"\n__global__ void nothing() {{}}\n'
    assert cubin(source, "sm_80")[:4] == b"\x7fELF"


def test_every_function_of_the_headers_is_in_a_kernel():
    """Else a function that only the CPU build sees could use what CUDA has not."""
    for function in (
        *("mfaba_decide", "mfaba_step", "mfaba_close", "mfaba_weigh"),
        *("neflag_decide", "neflag_start", "neflag_next", "neflag_flux", "four_normals", "to_float"),
        *("weighted_decide", "weighted_term", "straight_point", "noisy_point"),
    ):
        assert f"{function}(" in PARTS


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("fluxpath::mfaba_decide(1, 2)", "too few arguments"),
        ("fluxpath::no_such_function()", "no_such_function"),
        ("std::sqrt(2.0)", "std"),
    ],
)
def test_a_source_with_an_error_does_not_compile(wrong, message):
    source = SOURCE.read_text() + f"__global__ void broken() {{ {wrong}; }}\n"
    with pytest.raises(Exception, match=f"(?s)COMPILATION.*{message}"):
        cubin(source, "sm_80")


def test_headers_that_are_not_there_do_not_compile(tmp_path):
    with pytest.raises(Exception, match="cannot open source file"):
        cubin(SOURCE.read_text(), "sm_80", include=tmp_path)
