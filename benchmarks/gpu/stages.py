"""What each stage of `run` does: its items, in the order of what one would miss most.

A stage ends when its seconds are over, whatever is left; each item has a limit of its own besides.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from benchmarks.gpu.sides import METHODS, Side

STAGES = ("first", "onnx", "profile")
TIMED = ("ResNet-20", "ResNet-50")


@dataclass(frozen=True)
class Item:
    """A process. seconds: at most. kept: of the stage's time, left for what comes after it.

    gpu: not without a GPU. again: begun anew if it crashes; it is then told its --run and --until.
    """

    name: str
    command: tuple[str, ...]
    seconds: float
    kept: float = 0
    gpu: bool = False
    again: bool = False


def items(stage: str, device: str) -> list[Item]:
    """Those of a stage; with a CPU in the place of the GPU, at sizes that only try the scripts."""
    return {"first": _first, "onnx": _onnx, "profile": _profile}[stage](device)


def exports(stage: str, device: str) -> dict[str, list[str]]:
    """The files that a stage's sides need, by network."""
    sides = [Side.parse(name) for name in (*TORCH, *TORCH_MORE)]
    if stage == "onnx":
        sides = [Side.parse(name) for name in (*ONNX, *ONNX_MORE, *TORCH)]
    files = list(dict.fromkeys(side.file for side in sides if side.ours))
    if stage == "profile":
        files = ["bfloat16.pt", "float32.pt"]
    return dict.fromkeys(_models(device), files)


TORCH = (
    "eager float32",
    "published float32",
    "torchscript float32",
    "torchscript bfloat16 channels-last",
    "torchscript float16 channels-last",
    "eager bfloat16",
    "published bfloat16",
    "captum float32",
)
"""With every method."""

TORCH_MORE = (
    "torchscript float32 tuned",
    "torchscript TF32 channels-last",
    "torchscript bfloat16 channels-last pinned",
    "torchscript bfloat16 channels-last tuned",
    "torchscript float32 channels-last",
    "published TF32",
    "eager TF32",
    "eager float16",
    "torchscript bfloat16 channels-last plain",
    "torchscript bfloat16",
    "eager float32 tuned",
    "torchscript float32 pinned",
)
"""With MFABA sharp alone: what the choices are worth."""

ONNX = ("onnxruntime float32", "onnxruntime float16")
ONNX_MORE = (
    "onnxruntime TF32",
    "onnxruntime float16 channels-last",
    "onnxruntime float32 plain",
    "onnxruntime float32 pinned",
)

TINY = (
    *("--images", "2", "--slots", "2", "--max-steps", "2"),
    *("--samples", "2", "--points", "2", "--seconds", "0.05"),
)
TESTS = ("tests/runtime/test_on_a_gpu.py", "tests/runtime/backends/test_torchscript.py")
SANITIZED = ("memcheck", "racecheck")
MEASURED = (
    *("gpu__time_duration.sum", "dram__bytes_read.sum", "dram__bytes_write.sum"),
    *("lts__t_sector_hit_rate.pct", "dram__throughput.avg.pct_of_peak_sustained_elapsed"),
    *("sm__warps_active.avg.pct_of_peak_sustained_active", "launch__registers_per_thread"),
)
"""Of each kernel, by ncu."""


def _first(device: str) -> list[Item]:
    # cuda-bindings asks the driver for functions that it may lack, which is no error of ours.
    sanitizer = ("compute-sanitizer", "--report-api-errors", "no", "--error-exitcode", "9", "--tool")
    chosen = ("tests/kernels/test_cuda_kernels.py", "-k", "2050 or 16_bits or filled or many_slots")
    return [
        Item("smoke", _module("smoke", device, "--features", "100" if device == "cpu" else "150528"), 75),
        Item("gpu tests of the kernels", _pytest("tests/kernels"), 60, 150, gpu=True),
        Item("gpu tests of the backends", _pytest(*TESTS), 60, 130, gpu=True),
        Item("bandwidth", _python("bandwidth", "--until", "20"), 30, 120, gpu=True),
        *_timings(TORCH, TORCH_MORE, device),
        *(Item(tool, (*sanitizer, tool, *_pytest(*chosen)), 40, gpu=True) for tool in SANITIZED),
    ]


def _onnx(device: str) -> list[Item]:
    large = _models(device)[-1]
    there = "import onnxruntime as o; print(o.__version__, o.__file__, o.get_available_providers())"
    tests = _pytest(TESTS[0], "-k", "onnx or slots or lanes or channels")
    batches: tuple[str, ...] = ("--batches", "1", "64", "128")
    if device == "cpu":
        batches = ("--batches", "2", "--precisions", "float32", "--seconds", "0.05")
    return [
        Item("ONNX Runtime", (sys.executable, "-c", there), 30),
        Item("gpu tests of ONNX Runtime", tests, 60, 130, gpu=True),
        *_timings(ONNX, ONNX_MORE, device),
        Item("evaluations", _module("evaluations", device, large, *batches, "--until", "80"), 90),
    ]


def _profile(device: str) -> list[Item]:
    small, large = _models(device)[0], _models(device)[-1]
    sides = (
        "--sides",
        *(("torchscript bfloat16 channels-last",) if device != "cpu" else ()),
        "torchscript float32",
    )
    tiny = ("--images", "2", "--slots", "2", "--max-steps", "2") if device == "cpu" else ()
    ncu = (
        "ncu",
        "--clock-control",
        "none",
        "-k",
        "regex:mfaba_m",
        "-c",
        "8",
        "--metrics",
        ",".join(MEASURED),
    )
    inductor = ("--stacks", "inductor", "--precisions", "bfloat16", "--batches")
    batches = ("2",) if device == "cpu" else ("64", "1")
    return [
        *(
            Item(
                f"profile of {model}",
                _module("profiled", device, model, *sides, *tiny, "--until", "50"),
                60,
                60,
            )
            for model in dict.fromkeys((large, small))
        ),
        Item("ncu", (*ncu, *_python("bandwidth", "--slots", "64", "--until", "20")), 45, 20, gpu=True),
        Item("inductor", _module("evaluations", device, large, *inductor, *batches, "--until", "110"), 120),
    ]


def _models(device: str) -> tuple[str, ...]:
    return ("tiny",) if device == "cpu" else TIMED


def _timing(
    model: str, sides: tuple[str, ...], methods: tuple[str, ...], device: str, seconds: float, kept: float
) -> Item:
    sizes = TINY if device == "cpu" else ["--seconds", "0.6" if len(methods) > 1 else "0.8"]
    command = _module("timing", device, model, *sizes, "--methods", *methods, "--sides", *sides)
    name = f"{model}, {len(sides)} sides, {len(methods)} methods"
    return Item(name, command, seconds, kept, again=True)


def _timings(sides: tuple[str, ...], more: tuple[str, ...], device: str) -> list[Item]:
    """The chief sides with MFABA sharp, then with the other methods; last, what the choices are worth."""
    if device == "cpu":
        return [_timing("tiny", (*sides, more[0], more[-1]), METHODS, device, 120, 0)]
    small, large = TIMED
    return [
        _timing(small, sides, METHODS[:1], device, 40, 120),
        _timing(large, sides, METHODS[:1], device, 60, 90),
        _timing(large, sides, METHODS[1:], device, 90, 60),
        _timing(small, sides, METHODS[1:], device, 40, 50),
        _timing(large, more, METHODS[:1], device, 60, 25),
        _timing(small, more, METHODS[:1], device, 40, 20),
    ]


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"benchmarks.gpu.{module}", *arguments)


def _module(module: str, device: str, *arguments: str) -> tuple[str, ...]:
    return _python(module, *arguments, "--device", device)


def _pytest(*arguments: str) -> tuple[str, ...]:
    # A module whose imports are missing here must not keep the others' tests from running.
    more = ("-m", "gpu", "-p", "no:cacheprovider", "-W", "default", "-q", "--tb=short")
    return (sys.executable, "-m", "pytest", *more, "--continue-on-collection-errors", *arguments)
