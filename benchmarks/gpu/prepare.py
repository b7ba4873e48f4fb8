"""What must travel to a machine with a GPU and without network, into the ignored folder .gpu/.

    python -m benchmarks.gpu.prepare [--no-onnxruntime]

common: Captum, the CIFAR-10 images and ResNet-20 where they are, its exported files, the CPU extension for
the other machine's Python. onnxruntime1, onnxruntime2: ONNX Runtime for CUDA in two halves, with machine code
for one kind of GPU alone

What is there already is left as it is. Packing ONNX Runtime takes a minute or two.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

from benchmarks.gpu import extension, fatbin
from benchmarks.gpu.place import COMMON, HALVES, ROOT
from benchmarks.report import DATA

CACHE = Path.home() / ".cache" / "fluxpath-gpu"
CAPTUM, ONNXRUNTIME = "captum==0.9.0", "onnxruntime-gpu==1.31.1"
FILES = ("float32.pt", "bfloat16.pt", "float16.pt", "float32.onnx", "float16.onnx")
CUDA_PART = "onnxruntime/capi/libonnxruntime_providers_cuda.so"
NEEDLESS = (
    *("transformers", "quantization", "tools", "datasets", "ThirdPartyNotices.txt"),
    "capi/libonnxruntime_providers_tensorrt.so",
)
LIMITS = {"first": 330, "onnx": 290, "profile": 220}
"""Seconds in which each stage is done, its beginning and its summary included."""


def main(given: list[str] | None = None) -> int:
    """Make it all, say how large it is and what to run; 1 if it is larger than can travel."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-onnxruntime", action="store_true")
    parser.add_argument("--interpreter", help="a Python of that release on this machine (python3.12)")
    parser.add_argument("--python", default="3.12", help="the other machine's release (3.12)")
    parser.add_argument(
        "--architecture", type=int, default=90, help="of its GPU: 90 is sm_90, an H100's (90)"
    )
    parser.add_argument("--megabytes", type=float, default=64, help="that travel at a time (64)")
    options = parser.parse_args(given)
    COMMON.mkdir(parents=True, exist_ok=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    _cifar()
    _export()
    for step in (_captum, partial(_extension, options.interpreter or f"python{options.python}")):
        try:
            step()
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"left out: {error}", flush=True)
    if not options.no_onnxruntime:
        _onnxruntime(options.python, options.architecture)
    return _told(options.megabytes * 2**20)


def _cifar() -> None:
    for name in ("resnet20.onnx", "images.npz"):
        if (DATA / name).exists():
            (COMMON / "cifar10").mkdir(exist_ok=True)
            shutil.copy(DATA / name, COMMON / "cifar10")
        else:
            print(f"no {DATA / name}: ResNet-20 has random weights, or its images are noise")


def _export() -> None:
    folder = ["--folder", str(COMMON / "graphs")]
    command = [sys.executable, "-m", "benchmarks.gpu.exported", "ResNet-20", *FILES, *folder]
    subprocess.run(command, cwd=ROOT, check=False)  # what is missing is exported on the other machine


def _captum() -> None:
    if not list(COMMON.glob("captum-*.whl")):
        _download(CAPTUM, COMMON)


def _extension(interpreter: str) -> None:
    """With a virtual environment for nanobind, which has the headers."""
    if list(COMMON.glob("_cpu*.so")):
        return
    python = shutil.which(interpreter)
    if python is None:
        raise OSError(f"the CPU extension, as there is no {interpreter}: the other machine builds it itself")
    place = CACHE / "python"
    subprocess.run([python, "-m", "venv", str(place)], check=True)
    there = str(place / "bin" / "python")
    subprocess.run([there, "-m", "pip", "install", "--quiet", "nanobind"], check=True)
    print(f"built {extension.build(there, COMMON).name}")


def _onnxruntime(release: str, architecture: int) -> None:
    """Its CUDA part is the second half, all else the first."""
    targets = [half / "part.tar.xz" for half in HALVES]
    if all(target.exists() for target in targets):
        return
    wheels = list(CACHE.glob("onnxruntime_gpu-*.whl"))
    if not wheels:
        system = [f"--platform=manylinux_2_{k}_x86_64" for k in (27, 28)]
        _download(ONNXRUNTIME, CACHE, f"--python-version={release}", "--implementation=cp", *system)
        wheels = list(CACHE.glob("onnxruntime_gpu-*.whl"))
    folder = CACHE / "unpacked"
    shutil.rmtree(folder, ignore_errors=True)
    zipfile.ZipFile(wheels[0]).extractall(folder)
    for name in NEEDLESS:
        path = folder / "onnxruntime" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    kept, whole = fatbin.prune(folder / CUDA_PART, architecture)
    print(f"ONNX Runtime's code for sm_{architecture}: {kept / 1e6:.0f} of {whole / 1e6:.0f} MB", flush=True)
    rest = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    rest.remove(CUDA_PART)
    _pack(folder, rest, targets[0])
    _pack(folder, [CUDA_PART], targets[1])


def _pack(folder: Path, names: list[str], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name("half")
    with half.open("wb") as file:
        tar = subprocess.Popen(["tar", "-C", str(folder), "-c", *names], stdout=subprocess.PIPE)
        subprocess.run(["xz", "-6", "-T2", "-c"], stdin=tar.stdout, stdout=file, check=True)
        if tar.wait():
            raise OSError("tar failed")
    half.rename(target)


def _download(package: str, folder: Path, *more: str) -> None:
    quiet = ["--quiet", "--no-deps", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "download", *quiet, *more, "-d", str(folder), package]
    subprocess.run(command, check=True)


def _told(limit: float) -> int:
    """The sizes and the commands."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    tree = sum(
        (ROOT / name).stat().st_size for name in listed.decode().split("\0") if (ROOT / name).is_file()
    )
    sizes = {place: _size(place) for place in (COMMON, *HALVES)}
    print(f"\nthe tree {tree / 1e6:.1f} MB", end="")
    for place, size in sizes.items():
        print(f", {place.relative_to(ROOT)} {size / 1e6:.1f} MB", end="")
    print("\n\nOn the machine with the GPU, in the project's root:")
    carried = {"first": [COMMON, HALVES[0]], "onnx": [COMMON, HALVES[1]], "profile": [COMMON]}
    small = True
    for stage, places in carried.items():
        there = [place for place in places if sizes[place]]
        total = tree + sum(sizes[place] for place in there)
        small &= total < limit
        names = ", ".join(str(place.relative_to(ROOT)) for place in there)
        command = f"PYTHONPATH=src:. python3 -m benchmarks.gpu.run {stage} {LIMITS[stage] - 30}"
        print(f"  {command:62} at most {LIMITS[stage]} s, with {names}: {total / 1e6:.0f} MB")
    print("\nThe second needs both halves of ONNX Runtime; the first one has left its half on the machine.")
    if not small:
        print(f"TOO LARGE for {limit / 1e6:.0f} MB at a time")
    return int(not small)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    raise SystemExit(main())
