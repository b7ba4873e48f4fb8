"""Compiles the CUDA kernels when a device first needs them and caches the result on disk.

Imported only when a GPU is requested. NVRTC, NVIDIA's run-time compiler, compiles the machine code for the
GPU's architecture, so that the fluxpath wheel contains none and needs no CUDA toolkit.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from fluxpath.errors import ProviderError
from fluxpath.files import replacing

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "cuda" / "lanes.cu"
INCLUDES = (HERE / "include", HERE / "cuda")

GRADIENTS = ("float32", "float16", "bfloat16")
"""The types of gradients that the kernels read."""

KERNELS = (
    *(f"{k}_{g}" for g in GRADIENTS for k in ("mfaba_measure", "mfaba_move", "mfaba_weigh")),
    *(f"{k}_{g}" for g in GRADIENTS for k in ("neflag_measure", "neflag_move")),
    *(f"{k}_{g}" for g in GRADIENTS for k in ("reach_measure", "weighted_measure", "weighted_move")),
    *("straight_place", "noise_place"),
    *("neflag_draw", "neflag_place", "fill_lanes", "move_lanes", "note_start"),
    *("add_sums", "add_moments", "variance_of"),
)
"""The names of all kernels in the source."""

THREADS, CHUNK, MEASURED = 256, 2048, 8192
"""Threads per block and elements per block: kThreads, kChunk and kMeasured of cuda/block.cuh."""

# No contraction, as on the CPU, so that an element's arithmetic gives the same bits on both. The kernels are
# limited by memory, so this has no known cost.
_OPTIONS: dict[str, Any] = {
    **{"std": "c++17", "fma": False, "ftz": False},
    # NVRTC 13.0 takes no generic lambda for a device function by itself.
    "device_as_default_execution_space": True,
}
_DIGEST = hashlib.sha256().digest_size


def cubin(arch: str, folder: Path | None = None) -> bytes:
    """The kernels' machine code for `arch` ("sm_90"), from the cache in `folder` or compiled into it.

    folder: `cache_folder()` if None. A damaged entry is compiled again, and several processes can use the
    cache at once. Raises ProviderError if cuda-core or NVRTC is missing, or if the kernels do not compile
    for `arch`.
    """
    folder = cache_folder() if folder is None else folder
    entry = folder / f"{_key(arch)}-{arch}.cubin"
    with suppress(OSError):
        data = entry.read_bytes()
        code = data[_DIGEST:]
        if code and hashlib.sha256(code).digest() == data[:_DIGEST]:
            return code
    code = compile_cubin(arch)
    with suppress(OSError):  # without write access the only cost is compiling again next time
        _write(entry, hashlib.sha256(code).digest() + code)
    return code


def cache_folder() -> Path:
    """The path $XDG_CACHE_HOME/fluxpath, or ~/.cache/fluxpath if the variable is not set."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "fluxpath"


def compile_cubin(arch: str) -> bytes:
    """Compile the kernels for `arch` and return the machine code; needs no GPU. Raises ProviderError."""
    core = _core()
    try:
        options = core.ProgramOptions(arch=arch, include_path=[str(p) for p in INCLUDES], **_OPTIONS)
        return bytes(core.Program(SOURCE.read_text(), "c++", options).compile("cubin").code)
    except Exception as error:  # cuda-core's own exceptions share no base class
        raise ProviderError(f"the CUDA kernels do not compile for {arch} with this NVRTC: {error}") from error


def _key(arch: str) -> str:
    """A hash of everything that the machine code depends on."""
    digest = hashlib.sha256(repr((arch, _nvrtc_version(), sorted(_OPTIONS.items()))).encode())
    for folder in INCLUDES:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]


def _write(path: Path, data: bytes) -> None:
    """Write the file atomically, so that another process never sees a partial one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _core() -> Any:
    try:
        core = import_module("cuda.core")
        # Before 0.5 everything was in cuda.core.experimental, which 1.0 no longer has.
        return core if hasattr(core, "Program") else import_module("cuda.core.experimental")
    except ImportError as error:
        raise ProviderError(
            'the CUDA kernels need cuda-core, which is not installed: pip install "fluxpath[cuda]"'
        ) from error


def _nvrtc_version() -> tuple[int, int]:
    _core()
    try:
        from cuda.bindings import nvrtc

        _, major, minor = nvrtc.nvrtcVersion()
    except Exception as error:  # a missing library can raise RuntimeError or ImportError
        raise ProviderError(
            f'the CUDA kernels need NVRTC, which cannot be loaded ({error}): pip install "fluxpath[cuda]"'
        ) from error
    return int(major), int(minor)
