"""Runs a gradient graph on ONNX Runtime in place on a device's arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fluxpath import manifest as contract
from fluxpath.artifact import GradientFile, read_sealed
from fluxpath.errors import ArtifactError, ProviderError, first_line
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.captures import Captures
from fluxpath.runtime.backends.on_device import DeviceSession
from fluxpath.runtime.backends.onnx import OUT_OF_MEMORY, OnnxSession, device_option
from fluxpath.runtime.backends.rewrites.channels_last import require_images
from fluxpath.runtime.backends.tensorrt import TENSORRT, require_float32, tensorrt_options
from fluxpath.runtime.device.base import Device
from fluxpath.runtime.device.half import ONNX_TYPES
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.device.libraries import load_libraries
from fluxpath.runtime.lanes import Lanes

CUDA = "CUDAExecutionProvider"


class OnnxDeviceSession(DeviceSession, OnnxSession):
    """An `OnnxSession` whose graph reads and writes the lanes' own memory on the device.

    The execution provider works on the device's stream, so the kernels follow without a wait. Batch sizes
    that recur are replayed as CUDA graphs (`captures.py`), unless TensorRT is among the providers: it can
    capture only one batch size.

    options: all except `device` apply. tf32 lets float32 convolutions and matrix products round their inputs
    to TF32; `most` is the largest batch that TensorRT must expect; channels_last makes the CUDA provider
    compute convolutions and pooling in that order.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        device: Device,
        options: Options,
    ) -> None:
        providers, threads, capture = options.providers or (CUDA,), options.threads, options.capture
        if options.channels_last and providers[0] != CUDA:
            raise ProviderError(
                f"of ONNX Runtime's providers only {CUDA} can compute in channels_last order, {providers[0]} "
                "cannot: leave it out"
            )
        self.device, self._options = device, options
        sealed = read_sealed(Path(path))
        self._file: GradientFile | None = sealed
        self._tensorrt: dict[str, str] = {}
        if TENSORRT in providers:
            require_float32(sealed.manifest, options.tf32)
            self._tensorrt = tensorrt_options(device, sealed.sha256, sealed.manifest, options.most)
            capture = False
        # ONNX Runtime's TF32 switch turns on the tensor cores for convolutions of every element type. In
        # 16 bits nothing is lost by TF32, and convolutions without tensor cores are slow.
        self._tf32 = options.tf32 or sealed.manifest.precision != "float32"
        # ONNX Runtime keeps a captured graph for the thread that made it. The CUDA provider keeps cuDNN's
        # plan of a convolution for one batch size, and plans all convolutions again at another.
        self._captures = Captures(capture, per_thread=True, rounded=not self._tensorrt)
        try:
            super().__init__(path, providers, threads, self._provider_options(providers, capture))
        except ArtifactError as error:
            if not capture or device.kind != "cuda":
                raise
            # ONNX Runtime refuses to capture a graph if part of it runs on the CPU; a bad file fails again.
            super().__init__(path, providers, threads, self._provider_options(providers, False))
            self._captures.give_up(first_line(error))
        self._file = None
        if options.channels_last:
            require_images(self.manifest, path)
        self._graph_options: dict[int, Any] = {}
        self._require_started(providers[0])

    def _read(self, path: Path) -> GradientFile:
        """What the options were chosen by, so that it is of one reading."""
        return self._file or super()._read(path)

    def _provider_options(self, providers: Sequence[str], capture: bool) -> list[dict[str, str]]:
        known = {
            TENSORRT: self._tensorrt,
            CUDA: {
                **device_option(self.device.number),
                # By default cuDNN is asked for plans in the mode that takes it longest (EXHAUSTIVE).
                "cudnn_conv_algo_search": "HEURISTIC",
                "user_compute_stream": str(self.device.stream),
                "enable_cuda_graph": str(int(capture)),
                "use_tf32": str(int(self._tf32)),
                "prefer_nhwc": str(int(self._options.channels_last)),
            },
        }
        return [known.get(name, {}) for name in providers]

    def _forward_providers(self) -> tuple[list[str], list[dict[str, str]]]:
        """Without TensorRT, which would build an engine, and in a stream of ONNX Runtime's own."""
        cuda = {**device_option(self.device.number), "use_tf32": str(int(self._tf32))}
        names = [name for name in self._providers if name != TENSORRT]
        return names, [cuda if name == CUDA else {} for name in names]

    def _require_started(self, first: str) -> None:
        """Raise ProviderError if ONNX Runtime fell back to another provider, as without its libraries."""
        got = self._session.get_providers()
        if not got or got[0] == first:
            return
        what, more = ("TensorRT", " tensorrt") if first == TENSORRT else ("CUDA or cuDNN", "")
        missing = ", ".join(load_libraries(self._ort))
        raise ProviderError(
            f"ONNX Runtime cannot start {first}, as when {what} libraries are missing"
            f"{f' (not found: {missing})' if missing else ''}: "
            f"pip install \"onnxruntime-gpu[cuda,cudnn]\"{more}, or use device='cpu'"
        )

    def _run_options(self, graph: int) -> Any:
        """Options of a run that captures or replays graph number `graph`; -1 is a run without a graph."""
        if graph not in self._graph_options:
            options = self._graph_options[graph] = self._ort.RunOptions()
            options.add_run_config_entry("gpu_graph_id", str(graph))
            if self.device.kind == "cuda":
                # The outputs are read on the same stream, so order needs no wait.
                options.add_run_config_entry("disable_synchronize_execution_providers", "1")
        return self._graph_options[graph]

    def bind(self, lanes: Lanes) -> None:
        """Use these arrays, which must be on the session's device."""
        self._lanes = self._own(lanes)
        self._bindings.clear()
        self._captures.bind(lanes.slots)

    def _execute(self, count: int) -> None:
        lanes = self._lanes
        assert isinstance(lanes, DeviceLanes)
        lanes.changed()
        size, graph = self._captures.choose(count)
        if graph is not None:
            try:
                self._session.run_with_iobinding(self._binding(size), self._run_options(graph))
                return
            except Exception as error:  # the graph cannot be captured, or memory is missing
                if count > 1 and OUT_OF_MEMORY.search(str(error)):
                    raise  # fewer slots may do, and can be captured
                self._captures.give_up(first_line(error))
        try:
            self._session.run_with_iobinding(self._binding(size), self._run_options(-1))
        except Exception:
            self._captures.forget()
            raise

    def _bound(self, count: int) -> Any:
        lanes: Any = self._lanes
        place = (self.device.kind, self.device.number)
        binding = self._session.io_binding()
        image = (count, *lanes.shape)
        inputs = {
            self.manifest.input: (lanes.point, image),
            contract.TARGET: (lanes.target, (count,)),
            **{name: (rows, (count, *rows.shape[1:])) for name, rows in lanes.companions.items()},
        }
        outputs: dict[str, tuple[Any, tuple[int, ...]]] = {
            contract.SCALE: (lanes.scale, (count,)),
            contract.SCORE: (lanes.score, (count,)),
            contract.LABEL: (lanes.label, (count,)),
        }
        if lanes.output is not None:
            first = self._session.get_outputs()[0].name
            outputs[first] = (lanes.output, (count, lanes.output.shape[1]))
        for name, (array, shape) in inputs.items():
            binding.bind_input(name, *place, np.dtype(array.dtype).type, shape, array.address)
        element = ONNX_TYPES[self.manifest.gradient]
        binding.bind_output(contract.GRADIENT, *place, element, image, lanes.gradient.address)
        for name, (array, shape) in outputs.items():
            binding.bind_output(name, *place, np.dtype(array.dtype).type, shape, array.address)
        return binding
