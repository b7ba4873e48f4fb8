"""Puts what travelled where it is found, and makes the environment that a stage's processes run in."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from benchmarks.gpu import extension
from benchmarks.gpu.place import COMMON, HALVES, ROOT, out, work


def unpack() -> None:
    """Wheels, the CPU extension, the halves of ONNX Runtime; what is there already is left alone."""
    site = work() / "site"
    if not site.exists() and (wheels := sorted(COMMON.glob("*.whl"))):
        site.mkdir(parents=True)
        for wheel in wheels:
            zipfile.ZipFile(wheel).extractall(site)
    for half in HALVES:
        _unpack_half(half)
    if all(_mark(half).exists() for half in HALVES):
        for half in HALVES:  # one alone would hide the build that is installed
            shutil.copytree(work() / half.name, work() / "onnxruntime", dirs_exist_ok=True)
    _find_extension()


def environment() -> dict[str, str]:
    """What a process needs: the packages that travelled first, CUDA's libraries as torch has them."""
    paths = [work() / "onnxruntime", work() / "site", ROOT / "src", ROOT]
    nvidia = _torch().parent / "nvidia"
    libraries = [nvidia / "cu13" / "lib", nvidia / "cudnn" / "lib"]
    return {
        **os.environ,
        "FLUXPATH_GPU": str(work()),
        "OUT": str(out()),
        "PYTHONPATH": _joined(paths, "PYTHONPATH"),
        "LD_LIBRARY_PATH": _joined(libraries, "LD_LIBRARY_PATH"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_CACHE_HOME": str(work() / "cache"),
    }


def _unpack_half(half: Path) -> None:
    packed = sorted(half.glob("*.tar.xz"))
    if packed and not _mark(half).exists():
        with tarfile.open(packed[0], "r:xz") as archive:
            archive.extractall(work() / half.name, filter="data")
        _mark(half).touch()
        print(f"unpacked {packed[0].name}", flush=True)


def _mark(half: Path) -> Path:
    """Is there once a half is unpacked as a whole."""
    return work() / f"{half.name}.whole"


def _find_extension() -> None:
    """The one that is there, else the one that travelled, else one that is built here."""
    command = [sys.executable, "-c", "import fluxpath.kernels._cpu"]
    for attempt in ("there", "travelled", "built"):
        try:
            if attempt == "travelled":
                for file in COMMON.glob("_cpu*.so"):
                    shutil.copy(file, ROOT / "kernels")
            elif attempt == "built":
                print(f"built {extension.build(sys.executable, ROOT / 'kernels').name}", flush=True)
            subprocess.run(command, env=environment(), capture_output=True, check=True)
            return
        except (subprocess.CalledProcessError, OSError) as error:
            reason = getattr(error, "stderr", None) or str(error)
    print(f"no CPU extension: {reason!r}", flush=True)


def _torch() -> Path:
    found = importlib.util.find_spec("torch")
    return Path((found and found.origin) or "/nowhere/__init__.py").parent


def _joined(paths: list[Path], name: str) -> str:
    given = os.environ.get(name)
    return os.pathsep.join([*(str(path) for path in paths), *([given] if given else [])])
