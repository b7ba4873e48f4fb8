"""Runs a gradient graph in TorchScript, in place on the lanes' memory on a device."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from fluxpath import manifest as contract
from fluxpath.errors import OutOfMemoryError, first_line
from fluxpath.runtime.backends.base import DEFAULTS, Options
from fluxpath.runtime.backends.captures import Captures
from fluxpath.runtime.backends.on_device import DeviceSession
from fluxpath.runtime.backends.rewrites.fused_convolutions import fuse
from fluxpath.runtime.backends.torchscript import TorchScriptSession
from fluxpath.runtime.device.base import Device
from fluxpath.runtime.lanes import Lanes

FUSED = ("cuda",)
"""The kinds of device that have cuDNN's joined convolutions."""

ROUNDED = {True: 1e-3, False: 0.5}
"""How far rounding alone can move a gradient, as the relative L2 distance: in float32, and in less.

In less than float32 whole ReLUs switch; what is joined wrongly is further off than the gradient is long.
"""

_log = logging.getLogger("fluxpath")


class TorchScriptDeviceSession(DeviceSession, TorchScriptSession):
    """A `TorchScriptSession` that copies nothing to the host and works on the device's stream.

    Batch sizes that recur are replayed as CUDA graphs (`captures.py`).
    options: threads, capture, channels_last and tf32 apply. tf32 lets float32 convolutions and matrix
    products round their inputs to TF32, in the whole process.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        device: Device,
        options: Options = DEFAULTS,
    ) -> None:
        self.device = device
        self._again: Callable[[], Any] | None = None
        """Loads the module once more, until the first run has tried to join its convolutions."""
        name = "cpu" if device.kind == "cpu" else f"{device.kind}:{device.number}"
        super().__init__(path, replace(options, device=name))
        self._stream: Any = None
        self._tf32 = options.tf32
        if device.kind == "cuda":
            self._allow_tf32(options.tf32)
            self._stream = self._torch.cuda.ExternalStream(device.stream, device=self._device)
            # The weights were moved and reordered in torch's default stream, for which this one never waits.
            self._torch.cuda.synchronize(self._device)
        self._captures = Captures(options.capture)
        self._graphs: dict[int, Callable[[], object]] = {}
        self._pool: Any = None

    def _modules(self, load: Callable[[], Any]) -> None:
        super()._modules(load)
        if self.device.kind in FUSED:
            self._again = load

    def _allow_tf32(self, allowed: bool) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the newer setting is missing in some of torch's releases
            self._torch.backends.cudnn.allow_tf32 = allowed
            self._torch.backends.cuda.matmul.allow_tf32 = allowed

    def bind(self, lanes: Lanes) -> None:
        """Use these arrays, which must be on the session's device."""
        self._lanes = lanes = self._own(lanes)
        self._captures.bind(lanes.slots)
        self._graphs.clear()
        image = (lanes.slots, *lanes.shape)
        self._inputs = [
            self._tensor(lanes.point, image),
            self._tensor(lanes.target),
            *(self._tensor(rows) for rows in lanes.companions.values()),
        ]
        self._results = {
            contract.GRADIENT: self._gradient(lanes.gradient, image),
            contract.SCALE: self._tensor(lanes.scale),
            contract.SCORE: self._tensor(lanes.score),
            contract.LABEL: self._tensor(lanes.label),
        }
        if lanes.output is not None:
            self._results[self.manifest.outputs[0]] = self._tensor(lanes.output)

    def run(self, count: int) -> None:
        """Evaluate the gradient graph on the first `count` slots."""
        self._lanes.changed()
        with self._on_stream():
            if self._again is not None:
                self._fuse(min(count, 2))
            size, graph = self._captures.choose(count)
            if graph is not None:
                try:
                    if graph not in self._graphs:
                        self._graphs[graph] = self._captured(size)
                    self._graphs[graph]()
                    return
                except Exception as error:  # torch cannot capture the graph, or memory is missing
                    if count > 1 and isinstance(error, OutOfMemoryError):
                        raise  # fewer slots may do, and can be captured
                    self._captures.give_up(first_line(error))
            super().run(count)

    def _fuse(self, count: int) -> None:
        """Join convolutions with what follows them, if `count` slots then get what the file's graph gives."""
        assert self._again is not None
        load, self._again = self._again, None
        try:
            expected = self._gradients(self._module, count)
        except Exception:  # the run that follows fails likewise, and says it in our words
            return
        for usual in (False, True):
            module = load()
            if not fuse(module.graph, usual):
                return
            try:
                apart = float((self._gradients(module, count) - expected).norm() / expected.norm())
                reason = f"the gradient changes by {apart:.1e}"
            except Exception as error:  # cuDNN has no such kernel for these sizes, or memory is missing
                apart, reason = math.inf, first_line(error)
            if apart <= ROUNDED[self.manifest.precision == "float32" and not self._tf32]:
                self._module = module
                return
            _log.info("convolutions are not joined with their ReLUs: %s", reason)

    def _gradients(self, module: Any, count: int) -> Any:
        with self._torch.inference_mode():
            return self._evaluated(module, count)[contract.GRADIENT].double()

    def _captured(self, size: int) -> Callable[[], object]:
        """A function that replays the evaluation of `size` slots, or runs it where nothing is captured."""
        evaluate = super().run
        for _ in range(2):  # libraries allocate and choose kernels in the first runs of a size
            evaluate(size)
        if self.device.kind != "cuda":
            return lambda: evaluate(size)
        cuda = self._torch.cuda
        # Only one evaluation runs at a time, so all graphs can share one memory pool.
        self._pool = self._pool or cuda.graph_pool_handle()
        graph: Any = cuda.CUDAGraph()
        with cuda.graph(graph, self._pool, cuda.current_stream(), capture_error_mode="thread_local"):
            evaluate(size)
        replay: Callable[[], object] = graph.replay
        return replay

    def _on_stream(self) -> Any:
        return contextlib.nullcontext() if self._stream is None else self._torch.cuda.stream(self._stream)

    def _gradient(self, array: Any, shape: tuple[int, ...]) -> Any:
        if self.manifest.gradient == "float32":
            return self._tensor(array, shape)
        # The array interface has no name for bfloat16, so its bits are passed as integers.
        bits = self.device.view(array.address, shape, np.dtype(np.int16))
        return self._torch.as_tensor(bits, device=self._device).view(
            getattr(self._torch, self.manifest.gradient)
        )

    def _tensor(self, array: Any, shape: tuple[int, ...] | None = None) -> Any:
        view = self.device.view(array.address, shape or array.shape, array.dtype)
        return self._torch.as_tensor(view, device=self._device)
