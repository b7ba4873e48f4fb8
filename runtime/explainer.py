"""A gradient graph opened for attribution: the class that users hold."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from fluxpath.checks import whole
from fluxpath.companions import fillers_for
from fluxpath.errors import InputError, OutOfMemoryError
from fluxpath.files import as_path
from fluxpath.manifest import Manifest
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.backends.base import LARGEST, GradientSession, Options
from fluxpath.runtime.backends.calibration import suitable_slots
from fluxpath.runtime.backends.opening import open_session
from fluxpath.runtime.coroutine import awaited
from fluxpath.runtime.engine.driver import Driver
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.pending import Pending
from fluxpath.runtime.engine.stats import Stats
from fluxpath.runtime.intake import Further, Intake, Target
from fluxpath.runtime.lanes import Lanes
from fluxpath.runtime.methods import DeepLIFT, Method, Saliency
from fluxpath.runtime.prediction import Prediction, Predictor, prediction
from fluxpath.runtime.preparation.sizes import resolved_shape
from fluxpath.runtime.walk import Recorded, Walk
from fluxpath.slots import DEFAULT_SLOTS, usual_slots

if TYPE_CHECKING:
    from fluxpath.runtime.bulk.many import Summary
    from fluxpath.runtime.bulk.sinks import Sink
    from fluxpath.runtime.bulk.sources import Source

MOST_SLOTS = 2**16
MOST_THREADS = 2**10


class Explainer:
    """Attributions from one gradient graph; usable from any number of threads at once.

    path: a file that `fluxpath.export` wrote; torch runs files that end in ".pt", ONNX Runtime all others.
    device: "cpu", "cuda" (the first GPU), "cuda:1", or "auto" (the first GPU, or the CPU with a
        RuntimeWarning that says why). On a GPU the lanes live in its memory (docs/gpu.md).
    providers: ONNX Runtime execution providers that replace the device's. If the first is CUDA's or
        TensorRT's, the graph runs on the GPU with the device's number.
    slots: how many lanes run at a time, at most 65536; memory grows with it, results do not change. "auto"
        measures for a second or two which number is fastest. None takes 32, and on the CPU fewer of large
        inputs: for each thread as many elements as 4 images of 3 x 224 x 224 have, but at least 4 slots.
    threads: how many threads the backend uses, None for all cores.
    tf32: True lets a float32 graph on a GPU round the inputs of its convolutions and matrix products to TF32,
        which has as many digits as float16: faster, and less exact.
    channels_last: True makes torch or ONNX Runtime's CUDA provider compute images as [height, width,
        channels]: faster or slower, and equal except for rounding. Other providers, and inputs that are not
        images, are refused; an ONNX file that "auto" runs on the CPU ignores it.
    shape: the input's shape without the batch, where the model leaves sizes open.
    max_memory: the most bytes that slots="auto" may use, of the GPU's memory where the lanes live there.
    max_pending: how many images may wait or run at a time, None for any number; beyond it, QueueFullError.
    trust: True runs a .pt file's code unchecked: it can then do whatever this process can (docs/security.md).

    On the CPU, with a fixed number of threads, an image's attribution does not depend on what runs beside
    it: what fluxpath computes is the same bit for bit. ONNX Runtime's kernels can round differently at
    another batch size; on CIFAR-10 and ResNet-20 that never changed a step, and changed attributions by less
    than 1e-6 (relative, in L2).

    The engine has a thread of its own, on which methods run. Use the explainer as a context manager, or call
    `close`; one that nobody holds any more ends by itself when what was submitted is done. A process forked
    from this one cannot use it, and opens another. Raises ArtifactError, ProviderError, InputError,
    OutOfMemoryError.
    """

    path: Path | None
    """The file that was opened; None for a session of one's own."""

    device: str
    """Where the model runs, whatever was asked for: "cpu", "cuda:0", or the name of an execution provider; ""
    for a session of one's own that does not say (`GradientSession.place`)."""

    sha256: str
    """SHA-256 of the file, of the bytes that were read, in hexadecimal; as the session says, of one's own."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        device: str = "cpu",
        providers: Sequence[str] | None = None,
        slots: int | Literal["auto"] | None = None,
        threads: int | None = None,
        tf32: bool = False,
        channels_last: bool = False,
        shape: tuple[int, ...] | None = None,
        max_memory: int | None = None,
        max_pending: int | None = None,
        trust: bool = False,
    ) -> None:
        self.path = as_path(path, "the file of the model")
        if threads is not None:
            whole("threads", threads, 1, MOST_THREADS)
        options = Options(
            device=device,
            providers=None if providers is None else tuple(providers),
            threads=threads,
            tf32=tf32,
            channels_last=channels_last,
            most=DEFAULT_SLOTS if slots is None else int(slots) if isinstance(slots, Integral) else LARGEST,
            trust=trust,
        )
        self._open(open_session(self.path, options), slots, shape, max_memory, max_pending, threads)

    @classmethod
    def from_session(
        cls,
        session: GradientSession,
        *,
        slots: int | Literal["auto"] | None = None,
        shape: tuple[int, ...] | None = None,
        max_memory: int | None = None,
        max_pending: int | None = None,
    ) -> Explainer:
        """An explainer on your own backend: `session` is an instance of a subclass of `GradientSession`.

        Without `slots` a session on the CPU is taken to use all cores.
        """
        if not isinstance(session, GradientSession):
            raise InputError(
                f"session is {session!r}, it must be an instance of a class derived from "
                "fluxpath.runtime.GradientSession"
            )
        explainer = cls.__new__(cls)
        explainer.path = None
        explainer._open(session, slots, shape, max_memory, max_pending)
        return explainer

    def _open(
        self,
        session: GradientSession,
        slots: int | Literal["auto"] | None,
        shape: tuple[int, ...] | None,
        max_memory: int | None,
        max_pending: int | None,
        threads: int | None = None,
    ) -> None:
        if slots != "auto" and slots is not None:
            whole("slots", slots, 1, MOST_SLOTS)
        for name, limit in (("max_memory", max_memory), ("max_pending", max_pending)):
            if limit is not None:
                whole(name, limit, 1, 2**63)
        self.manifest: Manifest = session.manifest
        self.device = session.place
        self.sha256 = session.sha256
        self.shape = resolved_shape(self.manifest, shape)
        self._predictor = Predictor(session, self.manifest)
        self._intake = Intake(self.manifest, self.shape, self._predictor)
        if slots == "auto":
            slots = suitable_slots(session, lambda n: self._lanes(session, n), max_memory)
        self.slots = slots = usual_slots(self.device, self.shape, threads) if slots is None else slots
        self._most = slots if max_pending is None else min(slots, max_pending)
        self._pending = Pending(max_pending)
        self._driver = Driver(Engine(session, self._lanes(session, slots)), self._pending)

    def _lanes(self, session: GradientSession, slots: int) -> Lanes:
        try:
            return session.make_lanes(slots, self.shape, self._intake.companions)
        except MemoryError as error:
            raise OutOfMemoryError(
                f"there is no memory for {slots} slots of this model: take fewer"
            ) from error

    def prepare(self, photos: Any) -> npt.NDArray[np.float32]:
        """Photos in any form as the model's input, float32 [n, *shape], scaled to its range.

        photos: one photo or a list of them, of any sizes, or a folder, with its subfolders. A photo is a
            path, the bytes of a file, an open binary file, a PIL image, or an array or tensor of uint8 (of
            torch, CuPy or others, on the host or a GPU): [h, w, c], [c, h, w], or grey [h, w], and several
            [n, h, w, c], [n, c, h, w] or grey [n, h, w]. Photos are turned upright by EXIF, fitted as the
            file's manifest says (`preprocessing`) and scaled. Float arrays, [n, *shape] or [*shape], are the
            input already, and only checked.

        `predict`, `attribute`, `submit`, `attribute_many` and the command line prepare all that they are
        given like this. Raises InputError, which says what would be right.
        """
        return self._intake.images(photos)

    def predict(self, photos: Any, top: int = 5, *, inputs: Further = None) -> Prediction:
        """What the model predicts for `photos`, with the best `top` classes (or all), without gradients.

        photos, inputs: as for `submit`. The first call takes memory for the model's weights once more. On a
        backend of one's own it needs `GradientSession.forward`. Raises InputError, ClosedError, and
        ArtifactError if the file is no longer the one that was opened.
        """
        array = self._intake.images(photos, copy=False)
        whole("top", top, 1)
        return prediction(self._intake.logits(array, inputs), self.manifest, top)

    def attribute(
        self,
        images: Any,
        target: Target = None,
        method: Method | str | None = None,
        *,
        top: int | None = None,
        inputs: Further = None,
        deadline: float | None = None,
    ) -> Attribution:
        """Attribute `images` and wait for the result; parameters and errors as for `submit`.

        The images must not change before it returns: a contiguous float32 array is not copied, and the result
        holds it to draw from. If a signal handler raises meanwhile, as at Ctrl-C, its error is raised, and
        this request alone is cancelled.
        """
        return self._driver.run(
            self._intake.request(images, target, method, top, inputs, deadline, copy=False)
        )

    async def attribute_async(
        self,
        images: Any,
        target: Target = None,
        method: Method | str | None = None,
        *,
        top: int | None = None,
        inputs: Further = None,
        deadline: float | None = None,
    ) -> Attribution:
        """Attribute `images` from asyncio; parameters and errors as for `submit`.

        Photos are prepared on a thread of the event loop's executor. Cancelling the task cancels the request.
        """
        asked = partial(self.submit, images, target, method, top=top, inputs=inputs, deadline=deadline)
        return await awaited(asked)

    def submit(
        self,
        images: Any,
        target: Target = None,
        method: Method | str | None = None,
        *,
        top: int | None = None,
        inputs: Further = None,
        deadline: float | None = None,
    ) -> Future[Attribution]:
        """Start attributing and return at once.

        images: photos in any form that `prepare` takes; or the model's input, float32 [n, *shape] or one
            image [*shape], finite and in the valid range; float64 is rounded, and what rounding put outside
            the range (by 4e-7 of its larger bound) is clipped.
        target: a class, or one class per image, by number or by name; None or -1 means the predicted class.
        method: settings such as `MFABA()` (the default) or `NeFLAG(n=20)`, or a name as for `method_named`.
        top: k explains each image's k-th best class, in place of `target`; `predict` finds it first.
        inputs: the model's further inputs by name, such as an attention mask, each [n, ...].
        deadline: seconds from now after which the request fails with DeadlineError; checked before each
            evaluation.

        The images are copied. The future's result is an `Attribution`; its `cancel` frees the slots before
        the next evaluation. Its done-callbacks run one at a time on a thread for them, where they can use the
        explainer and take long; the process does not end before them. Raises InputError, QueueFullError,
        ClosedError.
        """
        request = self._intake.request(images, target, method, top, inputs, deadline)
        self._driver.submit(request)
        return request.future

    def walk(
        self,
        photo: Any,
        target: Target = None,
        method: Method | str | None = None,
        *,
        lane: int = 0,
        inputs: Further = None,
    ) -> Walk:
        """The points of one walk of `method` from one photo, with the scores and predicted classes there.

        lane: which, of a method with several, as NeFLAG has one for each of its samples. Parameters and
        errors are otherwise those of `submit`. The last point is the one where the walk ended.
        """
        recorded = Recorded(self._intake.method(method), lane)
        array = self._intake.images(photo)
        if len(array) != 1:
            raise InputError(f"these are {len(array)} images, and a walk starts at one: pass one photo")
        self.attribute(array, target, recorded, inputs=inputs)
        return recorded.walk(self.shape)

    def warmup(self, predict: bool = False) -> None:
        """Evaluate the model as often as it takes until later requests are not slowed by first evaluations.

        Grey images, twice in all slots and twice in one: memory is taken, and a GPU's graphs are recorded.
        predict: also make the first prediction, which takes memory for the model's weights once more.
        """
        low, high = self.manifest.low, self.manifest.high
        grey = 0.5 if low is None or high is None else (low + high) / 2
        method = Saliency() if self.manifest.rules == "gradient" else DeepLIFT()
        sizes = [given for d, given in zip(self.manifest.shape, self.shape, strict=True) if d is None]
        for n in (self._most, self._most, 1, 1):
            images = np.full((n, *self.shape), grey, np.float32)
            inputs = fillers_for(self.manifest, n, *sizes[:1])
            self.attribute(images, method=method, inputs=inputs)
        if predict:
            self.predict(images, inputs=inputs)

    def stats(self) -> Stats:
        """What was done since the explainer was opened; cheap, from any thread, also after `close`."""
        return self._driver.stats(self.slots)

    def attribute_many(
        self,
        source: Source,
        sink: str | os.PathLike[str] | Sink,
        *,
        target: int | str | None = None,
        method: Method | str | None = None,
        progress: bool = True,
        resume: bool = True,
    ) -> Summary:
        """Attribute any number of images in constant memory and write each result to `sink`, in order.

        source: a folder of images, including its subfolders; or an iterable of any length, read as needed, of
            photos in any form that `prepare` takes, arrays float32 [*shape], (name, image) or (name, image,
            target). Names must be distinct: an image's is its path (in the folder, or as given), that of
            anything else unnamed is its number ("000000"). Results hold a byte of a name that is not UTF-8 as
            an escape, as in \\udcff.
        sink: a path that ends in .npz, .npy, .parquet or .jsonl, a folder for overlays, or your own `Sink`.
        target, method: as for `submit`, for every image.
        progress: if the run takes over a second, show a bar on a terminal or in a notebook; elsewhere write a
            line on stderr every ten seconds.
        resume: skip the images, by name, that an earlier run with the same settings wrote completely; False
            writes everything again.

        A damaged image does not stop the run; the `Summary` names it. Any other error ends the run, and the
        next run can use what was written. Raises InputError for wrong settings, a source without images, or
        a sink that holds another run's results; ClosedError; and what the source or the sink raises.
        """
        from fluxpath.runtime.bulk.many import attribute_many

        if target is not None:
            target = self._intake.one_target(target)
        return attribute_many(
            self,
            source,
            sink,
            target=target,
            method=self._intake.method(method),
            progress=progress,
            resume=resume,
        )

    @property
    def alive(self) -> int:
        """How many engines take requests: 1, and 0 after `close`."""
        return int(self._driver.alive)

    def close(self) -> None:
        """Stop: requests that wait or run fail with ClosedError. Can be called twice."""
        self._driver.close()
        self._predictor.close()

    def __enter__(self) -> Explainer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
