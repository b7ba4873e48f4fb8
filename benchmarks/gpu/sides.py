"""Every way of explaining that is compared: images, targets, a method in; attributions, steps out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import eager
from benchmarks.gpu import aotinductor
from benchmarks.gpu.models import Subject
from fluxpath.export import gradient_from_torch
from fluxpath.runtime import MFABA, Explainer, IntegratedGradients
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.opening import CUDA
from fluxpath.runtime.backends.tensorrt import TENSORRT

MFABAS = ("MFABA sharp", "MFABA smooth")
IG = "Integrated Gradients"

Result = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64] | None]
Explain = Callable[[npt.NDArray[np.float32], npt.NDArray[np.int64], str], Result]


@dataclass(frozen=True)
class Side:
    """One way. open: gives it, ready, and whatever must be closed goes to the stack; it may raise anything.

    tf32: what torch may round to. batches: the kinds of run that it is for.
    """

    name: str
    methods: tuple[str, ...]
    open: Callable[[ExitStack], Explain]
    tf32: bool = False
    batches: tuple[str, ...] = ("one", "many")


@dataclass(frozen=True)
class Setup:
    """What all sides share."""

    subject: Subject
    device: str
    folder: Path
    max_steps: int
    slots: int

    @property
    def cuda(self) -> bool:
        """Whether there is a GPU to time."""
        return self.device.startswith("cuda")


def sides(setup: Setup) -> Iterator[Side]:
    """All of them, torch's own first."""
    yield Side("published", MFABAS, lambda _: _loop(setup, eager.explain, _moved(setup)))
    for name, tf32, dtype, channels_last in (
        ("best eager float32", False, None, False),
        ("best eager TF32", True, None, False),
        ("best eager float16", True, torch.float16, True),
        ("best eager bfloat16", True, torch.bfloat16, True),
    ):
        yield Side(name, MFABAS, _best_eager(setup, dtype, channels_last), tf32)
    # Captured as CUDA graphs where the batch stays, else for any batch: it shrinks as walks end.
    yield Side("compiled float32", MFABAS, _compiled(setup, mode="reduce-overhead"), batches=("one",))
    yield Side("compiled float32", MFABAS, _compiled(setup, dynamic=True), batches=("many",))
    yield Side("Captum float32", (IG,), lambda _: _captum(setup))
    every = (*MFABAS, IG)
    for backend, suffix in (("ONNX Runtime", ".onnx"), ("TorchScript", ".pt")):
        for precision in ("float32", "TF32", "float16", "bfloat16"):
            name = f"fluxpath {backend} {precision}"
            yield Side(name, every, _fluxpath(setup, suffix, precision), precision != "float32")
            if setup.cuda and precision in ("float32", "float16"):
                opened = _fluxpath(setup, suffix, precision, capture=False)
                yield Side(f"{name}, no CUDA graphs", every, opened, precision != "float32")
            if precision in ("float32", "float16") if setup.cuda else name == "fluxpath TorchScript float32":
                opened = _fluxpath(setup, suffix, precision, channels_last=True)
                yield Side(f"{name}, channels-last", every, opened, precision != "float32")
    if setup.cuda:
        for precision in ("float32", "TF32", "float16"):
            opened = _fluxpath(setup, ".onnx", precision, providers=(TENSORRT, *CUDA))
            yield Side(f"fluxpath TensorRT {precision}", every, opened, precision != "float32")
    yield from _aotinductor_sides(setup)


def _aotinductor_sides(setup: Setup) -> Iterator[Side]:
    """Each package takes a compiler's time: on a CPU only one is built."""
    opened = _aotinductor(setup, "float32", (aotinductor.ANY,))
    yield Side("fluxpath AOTInductor, any batch, float32", (*MFABAS, IG), opened)
    if setup.cuda:
        # What is fixed is compiled better, but Integrated Gradients of one image asks for sizes in between.
        for precision in ("float32", "TF32", "float16", "bfloat16"):
            opened = _aotinductor(setup, precision, (1, setup.slots))
            yield Side(f"fluxpath AOTInductor {precision}", MFABAS, opened, precision != "float32")


def reference(setup: Setup) -> Explain:
    """The walks in float64."""
    model = eager.fast_copy(setup.subject.module).double().to(setup.device)
    return _loop(setup, eager.best_eager, model, torch.float64, batch=setup.slots)


class Fluxpath:
    """An explainer as a side."""

    def __init__(self, explainer: Explainer, max_steps: int) -> None:
        self.explainer, self._max_steps = explainer, max_steps

    def __call__(
        self, images: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], method: str
    ) -> Result:
        """The attributions."""
        if method == IG:
            found = self.explainer.attribute(images, targets, IntegratedGradients(steps=self._max_steps))
        else:
            sharp = method == MFABAS[0]
            walk = MFABA(ascent="sharp" if sharp else "smooth", max_steps=self._max_steps)
            found = self.explainer.attribute(images, targets, walk)
        return found.values, found.steps.astype(np.int64)


def _moved(setup: Setup) -> torch.nn.Module:
    return copy.deepcopy(setup.subject.module).to(setup.device)


def _loop(
    setup: Setup,
    walk: Callable[..., Any],
    model: torch.nn.Module,
    dtype: torch.dtype = torch.float32,
    **more: Any,
) -> Explain:
    def explain(images: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], method: str) -> Result:
        ascent = "sharp" if method == MFABAS[0] else "smooth"
        with torch.device(setup.device):  # the loops' own tensors are made there too
            given = torch.from_numpy(images).to(setup.device, dtype)
            chosen = torch.from_numpy(targets).to(setup.device)
            values, steps = walk(model, given, chosen, ascent, max_steps=setup.max_steps, **more)
            return values.float().cpu().numpy(), steps.cpu().numpy()

    return explain


class _Autocast(torch.nn.Module):
    """A network in mixed precision; its logits are float32."""

    def __init__(self, model: torch.nn.Module, device: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.kind, self.dtype = model, device.partition(":")[0], dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits, [n, classes]."""
        with torch.autocast(self.kind, self.dtype):
            logits: torch.Tensor = self.model(x)
        return logits.float()


def _best_eager(
    setup: Setup, dtype: torch.dtype | None, channels_last: bool
) -> Callable[[ExitStack], Explain]:
    def opened(_: ExitStack) -> Explain:
        model = eager.fast_copy(eager.folded(setup.subject.module), channels_last).to(setup.device)
        if dtype is not None:
            model = _Autocast(model, setup.device, dtype)
        more = {"batch": setup.slots, "channels_last": channels_last}
        return _loop(setup, eager.best_eager, model, **more)

    return opened


def _compiled(setup: Setup, **options: Any) -> Callable[[ExitStack], Explain]:
    def opened(_: ExitStack) -> Explain:
        if not setup.cuda:
            raise RuntimeError("torch.compile is timed on a GPU only")
        plain = eager.fast_copy(eager.folded(setup.subject.module)).to(setup.device)
        model: Any = torch.compile(plain, **options)
        return _loop(setup, eager.best_eager, model, batch=setup.slots)

    return opened


def _captum(setup: Setup) -> Explain:
    from captum.attr import IntegratedGradients as Captums

    attribute = Captums(eager.fast_copy(setup.subject.module).to(setup.device)).attribute
    points, batch = setup.max_steps + 1, max(setup.slots, setup.max_steps + 1)

    def explain(images: npt.NDArray[np.float32], targets: npt.NDArray[np.int64], _: str) -> Result:
        given = torch.from_numpy(images).to(setup.device)
        chosen = torch.from_numpy(targets).to(setup.device)
        found = attribute(given, target=chosen, n_steps=points, internal_batch_size=batch)
        return found.float().cpu().numpy(), None

    return explain


def _fluxpath(
    setup: Setup, suffix: str, precision: str, capture: bool = True, **options: Any
) -> Callable[[ExitStack], Explain]:
    def opened(stack: ExitStack) -> Explain:
        path = _exported(setup, suffix, precision)
        explainer = _explainer(setup, path, capture, tf32=precision == "TF32", **options)
        return Fluxpath(stack.enter_context(explainer), setup.max_steps)

    return opened


def _aotinductor(setup: Setup, precision: str, sizes: tuple[int, ...]) -> Callable[[ExitStack], Explain]:
    def opened(stack: ExitStack) -> Explain:
        script = _exported(setup, ".pt", precision)
        packages = {size: script.with_suffix(f".{size}.pt2") for size in sizes}
        for size, path in packages.items():
            if not path.exists():
                aotinductor.build(setup.subject, path, setup.device, _inside(precision), size)
        session = aotinductor.session(script, packages, setup.device, precision == "TF32")
        explainer = Explainer.from_session(session, slots=setup.slots)
        return Fluxpath(stack.enter_context(explainer), setup.max_steps)

    return opened


def _inside(precision: str) -> str:
    """The element type; TF32 is how float32 is multiplied."""
    return "float32" if precision == "TF32" else precision


def _exported(setup: Setup, suffix: str, precision: str) -> Path:
    """The gradient graph's file, written when it is first asked for."""
    if precision == "TF32" and not setup.cuda:
        raise RuntimeError("TF32 is a GPU's")
    inside = _inside(precision)
    path = setup.folder / f"{setup.subject.name.replace('/', '-')}-{inside}.grad{suffix}"
    if not path.exists():
        example = torch.zeros(1, *setup.subject.shape)
        gradient_from_torch(setup.subject.module, example, path, precision=inside, gradient_dtype=inside)
    return path


def _explainer(setup: Setup, path: Path, capture: bool, **options: Any) -> Explainer:
    if capture:
        return Explainer(path, device=setup.device, slots=setup.slots, **options)
    from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
    from fluxpath.runtime.backends.torchscript_device import TorchScriptDeviceSession
    from fluxpath.runtime.device.base import parse
    from fluxpath.runtime.device.cuda import cuda_device

    device = cuda_device(parse(setup.device)[1])
    plain = Options(providers=None if path.suffix == ".pt" else CUDA, capture=False, **options)
    if path.suffix == ".pt":
        script = TorchScriptDeviceSession(path, device, plain)
        return Explainer.from_session(script, slots=setup.slots)
    onnx = OnnxDeviceSession(path, device, plain)
    return Explainer.from_session(onnx, slots=setup.slots)
