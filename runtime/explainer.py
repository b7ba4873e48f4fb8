"""The front door: a gradient graph, opened for attribution."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType

import numpy.typing as npt

from fluxpath.baseline import unpack_baseline
from fluxpath.errors import ClosedError, InputError
from fluxpath.manifest import Companion, Manifest
from fluxpath.runtime._inputs import as_companions, as_images, as_targets
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.engine import Engine
from fluxpath.runtime.lanes import Lanes
from fluxpath.runtime.methods import MFABA, Method
from fluxpath.runtime.methods._settings import whole
from fluxpath.runtime.opening import open_session
from fluxpath.runtime.request import Request
from fluxpath.runtime.session import GradientSession

DEFAULT_SLOTS = 32


class Explainer:
    """Attributions from one gradient graph; usable from any number of threads at once.

    path: a file that `fluxpath.export` wrote; one ending in ".pt" is TorchScript and run by torch. device:
    "cpu" or "cuda"; providers: ONNX Runtime execution providers instead. slots: how many lanes run at a
    time; memory grows with it, results do not change. threads: of the backend, None for all cores. shape:
    the input's shape without the batch, where the model leaves sizes open.

    On the CPU, with a fixed number of threads, an image's attribution is the same whatever else runs
    beside it: bit for bit as far as fluxpath computes it. ONNX Runtime's kernels may round differently at
    another batch size; on CIFAR-10 and ResNet-20 that never changed a step, nothing at all with MFABA sharp,
    and less than 1e-6 (relative, in L2) with the other methods.

    Use it as a context manager, or call `close`. Raises ArtifactError, ProviderError, InputError.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        device: str = "cpu",
        providers: Sequence[str] | None = None,
        slots: int = DEFAULT_SLOTS,
        threads: int | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> None:
        if threads is not None:
            whole("threads", threads, 1)
        self._open(open_session(path, device, providers, threads), slots, shape)

    @classmethod
    def from_session(
        cls, session: GradientSession, *, slots: int = DEFAULT_SLOTS, shape: tuple[int, ...] | None = None
    ) -> Explainer:
        """An explainer on a backend of your own."""
        explainer = cls.__new__(cls)
        explainer._open(session, slots, shape)
        return explainer

    def _open(self, session: GradientSession, slots: int, shape: tuple[int, ...] | None) -> None:
        whole("slots", slots, 1)
        self.manifest: Manifest = session.manifest
        self.shape = _resolved(self.manifest.shape, shape)
        self._companions = {c.name: (self._companion_shape(c), c.dtype) for c in self.manifest.companions}
        lanes = Lanes(
            slots, self.shape, self.manifest.low, self.manifest.high, self._companions, session.output
        )
        if self.manifest.baseline is not None:
            lanes.baseline[:] = unpack_baseline(self.manifest.baseline, lanes.features)
        self._engine = Engine(session, lanes)
        self._incoming: deque[Request] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="fluxpath-engine", daemon=True)
        self._thread.start()

    def _companion_shape(self, companion: Companion) -> tuple[int, ...]:
        """A further input's open sizes are the open size of the explained one: the length of a text."""
        sizes = {g for d, g in zip(self.manifest.shape, self.shape, strict=True) if d is None}
        if None in companion.shape and len(sizes) != 1:
            raise InputError(
                f"input '{companion.name}' has shape {companion.shape}, open where it says None, and the "
                "explained input does not tell the size: export the model with a fixed one"
            )
        return tuple(next(iter(sizes)) if d is None else d for d in companion.shape)

    def attribute(
        self,
        images: npt.ArrayLike,
        target: int | Sequence[int] | npt.ArrayLike | None = None,
        method: Method | None = None,
        *,
        inputs: Mapping[str, npt.ArrayLike] | None = None,
    ) -> Attribution:
        """Attributions of `images` (see `submit`), waiting for them."""
        return self.submit(images, target, method, inputs=inputs).result()

    def submit(
        self,
        images: npt.ArrayLike,
        target: int | Sequence[int] | npt.ArrayLike | None = None,
        method: Method | None = None,
        *,
        inputs: Mapping[str, npt.ArrayLike] | None = None,
    ) -> Future[Attribution]:
        """Start attributing and return at once.

        images: float32 [n, *shape], or one image [*shape], finite and in the input's valid range; float64
            is rounded. target: a class, or one an image; None, or -1 in its place, is the predicted class.
        method: settings such as `MFABA()` (the default) or `NeFLAG(n=20)`.
        inputs: the model's further inputs by name, [n, ...] each, where it has any (an attention mask).

        The images are copied; the future's result is an `Attribution`. Raises InputError, ClosedError.
        """
        method = MFABA() if method is None else method
        if not isinstance(method, Method):
            raise InputError(f"method is {method!r}, it must be a method's settings such as MFABA()")
        needed = getattr(method, "rules", "gradient")
        if needed != self.manifest.rules:
            raise InputError(
                f"{type(method).__name__} needs a file exported with rules '{needed}', and this one has "
                f"'{self.manifest.rules}': export the model with --rules {needed}"
            )
        array = as_images(images, self.shape, self.manifest.low, self.manifest.high)
        targets = as_targets(target, len(array), self.manifest.classes)
        request = Request(array, targets, method, as_companions(inputs or {}, len(array), self._companions))
        with self._wake:
            if self._closed:
                raise ClosedError("the explainer is closed: open another")
            self._incoming.append(request)
            self._wake.notify()
        return request.future

    def close(self) -> None:
        """Finish nothing more: requests that wait or run end with ClosedError. May be called twice."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Explainer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _work(self) -> None:
        """The engine's thread: take what came in, tick, until closed."""
        while self._take():
            try:
                self._engine.tick()
            except Exception as error:  # whatever went wrong belongs to those who wait for it
                self._engine.fail(error)

    def _take(self) -> bool:
        """Wait for work; False when the explainer is closed."""
        with self._wake:
            while not (self._incoming or self._engine.busy or self._closed):
                self._wake.wait()
            while self._incoming:
                self._engine.add(self._incoming.popleft())
            if self._closed:
                self._engine.fail(ClosedError("the explainer was closed before the attribution was done"))
            return not self._closed


def _resolved(shape: tuple[int | None, ...], given: tuple[int, ...] | None) -> tuple[int, ...]:
    if given is None:
        fixed = tuple(d for d in shape if d is not None)
        if len(fixed) != len(shape):
            raise InputError(f"the model's input has shape {shape}, open where it says None: pass shape=")
        return fixed
    if len(given) != len(shape) or any(d not in (None, g) for d, g in zip(shape, given, strict=True)):
        raise InputError(f"shape is {given}, and the model's input has shape {shape}")
    return tuple(given)
