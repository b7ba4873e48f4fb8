"""fluxpath's sides: an `Explainer` by backend, precision and flags."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.exported import wait_for
from benchmarks.gpu.models import Images
from benchmarks.gpu.setup import Labels, Result, Setup
from benchmarks.gpu.sides import Side
from fluxpath.runtime import Explainer
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.opening import CUDA
from fluxpath.runtime.backends.tensorrt import TENSORRT


class Fluxpath:
    """An explainer as a side."""

    def __init__(self, explainer: Explainer, setup: Setup) -> None:
        self.explainer, self._setup = explainer, setup

    def __call__(self, images: Images, targets: Labels, method: str) -> Result:
        """The attributions."""
        found = self.explainer.attribute(images, targets, self._setup.method(method))
        return found.values, found.steps.astype(np.int64)

    def captured(self) -> bool | None:
        """Whether evaluations are still captured as CUDA graphs; None where the backend captures none."""
        captures = self._captures()
        return None if captures is None else bool(captures._allowed)

    def sizes(self) -> int:
        """How many batch sizes have been captured."""
        captures = self._captures()
        return 0 if captures is None else len(captures._ids)

    def _captures(self) -> Any:
        engine: Any = self.explainer._driver._engine
        return getattr(engine._session, "_captures", None)


def opened(side: Side, setup: Setup, stack: ExitStack, seconds: float) -> Fluxpath:
    """The side; it waits so long for its exported file."""
    path = wait_for(setup.subject.name, side.file, seconds)
    explainer = _explainer(side, setup, path)
    return Fluxpath(stack.enter_context(explainer), setup)


def _explainer(side: Side, setup: Setup, path: Path) -> Explainer:
    if side.kind == "aotinductor":
        return _packaged(side, setup, path)
    options: dict[str, Any] = {
        "tf32": side.precision == "TF32",
        "channels_last": "channels-last" in side.flags,
        "providers": (TENSORRT, *CUDA) if side.kind == "tensorrt" else None,
    }
    if "plain" not in side.flags:
        return Explainer(path, device=setup.device, slots=setup.slots, **options)
    from fluxpath.runtime.backends.opening import open_session

    plain = Options(device=setup.device, most=setup.slots, capture=False, **options)
    return Explainer.from_session(open_session(path, plain), slots=setup.slots)


def _packaged(side: Side, setup: Setup, script: Path) -> Explainer:
    from benchmarks.gpu import aotinductor

    # Each takes a compiler's time. What is fixed is compiled better: other numbers are rounded up.
    sizes = (1, setup.slots) if setup.cuda else (aotinductor.ANY,)
    packages = {size: script.with_suffix(f".{size}.pt2") for size in sizes}
    for size, path in packages.items():
        if not path.exists():
            aotinductor.build(setup.subject, path, setup.device, side.dtype, size)
    session = aotinductor.session(script, packages, setup.device, side.precision == "TF32")
    return Explainer.from_session(session, slots=setup.slots)
