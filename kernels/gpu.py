"""Compiles the CUDA kernels when a device first needs them, and keeps the result on disk.

Imported only where a GPU is asked for: the machine code for one architecture is compiled by NVRTC, NVIDIA's
run-time compiler, so that a wheel of fluxpath carries none and needs no CUDA toolkit.
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
"""Types of the gradients that the kernels read."""

KERNELS = (
    *(f"{k}_{g}" for g in GRADIENTS for k in ("mfaba_measure", "mfaba_move", "mfaba_weigh")),
    *(f"{k}_{g}" for g in GRADIENTS for k in ("neflag_measure", "neflag_move")),
    *(f"{k}_{g}" for g in GRADIENTS for k in ("weighted_measure", "weighted_move")),
    *("straight_place", "noise_place"),
    *("neflag_draw", "neflag_place", "fill_lanes", "move_lanes", "note_start"),
    *("add_sums", "add_moments", "variance_of"),
)
"""Every kernel of the source by name."""

THREADS, CHUNK = 256, 2048
"""Threads of a block and elements it works on: kThreads and kChunk of cuda/block.cuh."""

# No contraction, as on the CPU: an element's arithmetic then gives the same bits on both. The kernels wait
# for memory, so it costs nothing that is known.
_OPTIONS: dict[str, Any] = {"std": "c++17", "fma": False, "ftz": False}
_DIGEST = hashlib.sha256().digest_size


def cubin(arch: str, folder: Path | None = None) -> bytes:
    """The kernels as machine code for `arch` ("sm_90"), from the cache in `folder` if they are there.

    folder: by default fluxpath's in the user's cache. An entry that is not what was written is compiled
    anew, and several processes may do this at once. Raises ProviderError where cuda-core or NVRTC is
    missing.
    """
    folder = cache_folder() if folder is None else folder
    entry = folder / f"{_key(arch)}-{arch}.cubin"
    with suppress(OSError):
        data = entry.read_bytes()
        code = data[_DIGEST:]
        if code and hashlib.sha256(code).digest() == data[:_DIGEST]:
            return code
    code = compile_cubin(arch)
    with suppress(OSError):  # a home that cannot be written to costs a compilation, no result
        _write(entry, hashlib.sha256(code).digest() + code)
    return code


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/fluxpath, or ~/.cache/fluxpath."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "fluxpath"


def compile_cubin(arch: str) -> bytes:
    """Compile the kernels for `arch`; needs no GPU."""
    core = _core()
    try:
        options = core.ProgramOptions(arch=arch, include_path=[str(p) for p in INCLUDES], **_OPTIONS)
        return bytes(core.Program(SOURCE.read_text(), "c++", options).compile("cubin").code)
    except Exception as error:  # cuda-core's own exceptions share no base class
        raise ProviderError(f"the CUDA kernels do not compile for {arch} with this NVRTC: {error}") from error


def _key(arch: str) -> str:
    """A hash of all that the machine code depends on."""
    digest = hashlib.sha256(repr((arch, _nvrtc_version(), sorted(_OPTIONS.items()))).encode())
    for folder in INCLUDES:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]


def _write(path: Path, data: bytes) -> None:
    """All of it or nothing: another process never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _core() -> Any:
    try:
        core = import_module("cuda.core")
        # Before 0.5 everything was in this module, which 1.0 has no more.
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
    except Exception as error:  # a missing library is a RuntimeError here and an ImportError there
        raise ProviderError(
            f'the CUDA kernels need NVRTC, which cannot be loaded ({error}): pip install "fluxpath[cuda]"'
        ) from error
    return int(major), int(minor)
