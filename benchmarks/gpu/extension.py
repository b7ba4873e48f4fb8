"""The CPU extension by one call of a C++ compiler: for another Python, or where there is no CMake."""

from __future__ import annotations

import subprocess
from pathlib import Path

from benchmarks.gpu.place import ROOT

ASKED = """
import nanobind, sysconfig
print(nanobind.include_dir(), sysconfig.get_path("include"), sysconfig.get_config_var("EXT_SUFFIX"))
"""
FLAGS = (
    *("-std=c++17", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-strict-aliasing"),
    *("-fvisibility=hidden", "-fopenmp", "-fPIC", "-shared", "-DNDEBUG"),
)


def build(python: str, folder: Path, root: Path = ROOT) -> Path:
    """Compile it for that Python, which must have nanobind; CalledProcessError if that fails.

    root: the checkout whose sources these are.
    """
    told = subprocess.run([python, "-c", ASKED], capture_output=True, text=True, check=True)
    nanobind, headers, suffix = told.stdout.split()
    includes = [nanobind, f"{nanobind}/../ext/robin_map/include", headers, str(root / "kernels" / "include")]
    sources = [
        *map(str, sorted((root / "kernels" / "cpu").glob("*.cpp"))),
        f"{nanobind}/../src/nb_combined.cpp",
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"_cpu{suffix}"
    command = ["g++", *FLAGS, *(f"-I{place}" for place in includes), *sources, "-o", str(path)]
    subprocess.run(command, check=True)
    return path
