"""Runs a gradient graph on ONNX Runtime, in place on the engine's arrays."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath import manifest as contract
from fluxpath.artifact import GradientFile, read_sealed
from fluxpath.errors import ArtifactError, FluxpathError, OutOfMemoryError, ProviderError, first_line
from fluxpath.forward import OUTPUT, forward_part
from fluxpath.runtime.backends.base import Forward, GradientSession
from fluxpath.runtime.device.half import ONNX_TYPES, RAW, widened
from fluxpath.runtime.lanes import Lanes
from fluxpath.telemetry import disable_telemetry

_INPUTS = {contract.TARGET: "tensor(int64)"}
_OUTPUTS = {contract.SCORE: "tensor(float)", contract.LABEL: "tensor(int64)", contract.SCALE: "tensor(float)"}
_GRADIENTS = {"float32": "tensor(float)", "float16": "tensor(float16)", "bfloat16": "tensor(bfloat16)"}

OUT_OF_MEMORY = re.compile(
    "out of memory|bad_?alloc|failed to allocate memory|memory allocation", re.IGNORECASE
)
"""Matches the messages of ONNX Runtime's allocators when memory runs out."""

STORED: dict[int, npt.DTypeLike] = {1: np.float32, 10: np.float16, 11: np.float64, 16: np.uint16}
"""How numpy holds the element types that a second file can have, by ONNX's number."""

_ELEMENTS = {
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    "int64": "tensor(int64)",
    "int32": "tensor(int32)",
    "bool": "tensor(bool)",
}


class OnnxSession(GradientSession):
    """A gradient graph in ONNX Runtime.

    Reads the file once and checks its seal before any parser sees it. optimized: False runs every node as it
    is, including casts that only round. profile: how the path of ONNX Runtime's profile begins, if it shall
    write one until `end_profile`. Raises ArtifactError if the file is not an intact gradient graph,
    ProviderError if onnxruntime or a provider is missing.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        providers: Sequence[str] = ("CPUExecutionProvider",),
        threads: int | None = None,
        provider_options: Sequence[dict[str, str]] | None = None,
        optimized: bool = True,
        profile: str | None = None,
    ) -> None:
        file = self._read(Path(path))
        self.manifest, self.sha256, self._path = file.manifest, file.sha256, Path(path)
        self._ort = require_providers(providers)
        self._threads, self._optimized, self._profile = threads, optimized, profile
        self._providers, self._options_of_providers = list(providers), provider_options
        self._session, self._external = self._opened(file, self._providers, provider_options)
        try:
            self._check_interface()
        except UnicodeDecodeError as error:
            raise ArtifactError(f"'{path}' has a name that is not UTF-8: export the model again") from error
        self._lanes: Lanes | None = None
        self._half: npt.NDArray[np.uint16] | None = None
        self._bindings: dict[int, Any] = {}

    @property
    def place(self) -> str:
        """ "cpu", or the first provider of others than the CPU's."""
        return "cpu" if self._providers[0] == "CPUExecutionProvider" else self._providers[0]

    def _read(self, path: Path) -> GradientFile:
        """The file, with its seal checked."""
        return read_sealed(path)

    def _opened(
        self, file: GradientFile, providers: list[str], of_providers: Sequence[dict[str, str]] | None
    ) -> tuple[Any, list[Any]]:
        """A session of ONNX Runtime on the file's bytes, and what must live as long as it does."""
        options = self._session_options(providers)
        try:
            external = self._outside(options, file)
            # Pad_Fusion merges a zero Pad into the MaxPool after it, which is wrong for negative values.
            session = self._ort.InferenceSession(
                file.data,
                options,
                providers=providers,
                provider_options=None if of_providers is None else list(of_providers),
                disabled_optimizers=["Pad_Fusion"],
                enable_fallback=0,  # trying other providers prints to stdout and hides the first error
            )
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            raise ArtifactError(f"ONNX Runtime cannot load '{self._path}': {first_line(error)}") from error
        return session, external

    def _session_options(self, providers: list[str]) -> Any:
        """ONNX Runtime's options, without tensors from outside the model."""
        options = self._ort.SessionOptions()
        options.log_severity_level = 3
        # Otherwise bytes that look like ONNX Runtime's own format would be read so, and past all checks.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        if providers == ["CPUExecutionProvider"]:
            _spare_memory(self._ort, options)
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        if not self._optimized:
            options.graph_optimization_level = self._ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        if self._profile is not None:
            options.enable_profiling, options.profile_file_prefix = True, self._profile
        return options

    def forward(self) -> Forward:
        """The logits by a session of its own on the file's forward part, with its weights once more."""
        file = read_sealed(self._path)
        if file.sha256 != self.sha256:
            raise ArtifactError(f"'{self._path}' is not the file that was opened any more: open it again")
        part = forward_part(file.data, self.manifest.logits)
        external = tuple(t for t in file.external if t.name in part.initializers)
        session, kept = self._opened(
            replace(file, data=part.data, external=external), *self._forward_providers()
        )

        def logits(
            inputs: Mapping[str, npt.NDArray[Any]], _kept: list[Any] = kept
        ) -> npt.NDArray[np.float32]:
            try:
                (found,) = session.run([OUTPUT], {name: inputs[name] for name in part.inputs})
            except Exception as error:
                raise _failure(error, len(inputs[self.manifest.input])) from error
            return np.asarray(found, np.float32)

        return logits

    def _forward_providers(self) -> tuple[list[str], Sequence[dict[str, str]] | None]:
        """The providers of the forward part, and their options."""
        return self._providers, self._options_of_providers

    def _outside(self, options: Any, file: GradientFile) -> list[Any]:
        """Give the session the tensors of the second file from memory; what must live as long as it does."""
        values = []
        for tensor in file.external:
            span = np.frombuffer(file.weights, np.uint8, tensor.end - tensor.start, tensor.start)
            array = span.view(STORED[tensor.element]).reshape(tensor.dims)
            make = self._ort.OrtValue.ortvalue_from_numpy_with_onnx_type
            values.append(make(array, tensor.element))
        if values:
            options.add_external_initializers([t.name for t in file.external], values)
        return values

    @property
    def output(self) -> int | None:
        """The number of classes if the graph's first output is float32 [batch, classes], else None."""
        first = self._session.get_outputs()[0]
        fits = (
            first.name not in (*_OUTPUTS, contract.GRADIENT)
            and first.type == "tensor(float)"
            and len(first.shape) == 2
        )
        return self.manifest.classes if fits and first.shape[1] == self.manifest.classes else None

    def end_profile(self) -> Path:
        """The file with ONNX Runtime's profile of all evaluations so far; none is written after that."""
        return Path(self._session.end_profiling())

    def bind(self, lanes: Lanes) -> None:
        """Use the engine's arrays; only a gradient in half precision is copied."""
        self._lanes = lanes
        self._bindings.clear()
        whole = self.manifest.gradient == "float32"
        self._half = None if whole else np.zeros((lanes.slots, lanes.features), RAW)

    def run(self, count: int) -> None:
        """Evaluate the gradient graph on the first `count` slots."""
        try:
            self._execute(count)
        except Exception as error:
            raise _failure(error, count) from error

    def _execute(self, count: int) -> None:
        self._session.run_with_iobinding(self._binding(count))
        if self._half is not None and self._lanes is not None:
            self._lanes.gradient[:count] = widened(self._half[:count], self.manifest.gradient)

    def _binding(self, count: int) -> Any:
        binding = self._bindings.get(count)
        if binding is None:
            binding = self._bindings[count] = self._bound(count)
        return binding

    def _bound(self, count: int) -> Any:
        lanes = self._lanes
        assert lanes is not None
        binding = self._session.io_binding()
        shape = (count, *lanes.shape)
        binding.bind_cpu_input(self.manifest.input, lanes.point[:count].reshape(shape))
        binding.bind_cpu_input(contract.TARGET, lanes.target[:count])
        for name, rows in lanes.companions.items():
            binding.bind_cpu_input(name, rows[:count])
        if lanes.output is not None:
            first, rows = self._session.get_outputs()[0].name, lanes.output
            binding.bind_output(first, "cpu", 0, np.float32, (count, rows.shape[1]), rows.ctypes.data)
        gradient: Any = lanes.gradient if self._half is None else self._half
        element = ONNX_TYPES[self.manifest.gradient]
        binding.bind_output(contract.GRADIENT, "cpu", 0, element, shape, gradient.ctypes.data)
        for name, array in (
            (contract.SCALE, lanes.scale),
            (contract.SCORE, lanes.score),
            (contract.LABEL, lanes.label),
        ):
            binding.bind_output(name, "cpu", 0, array.dtype.type, (count,), array.ctypes.data)
        return binding

    def _check_interface(self) -> None:
        """Check the manifest against the graph's own inputs and outputs; ArtifactError if they differ."""
        inputs = {v.name: v for v in self._session.get_inputs()}
        outputs = {v.name: v for v in self._session.get_outputs()}
        wanted = {self.manifest.input: "tensor(float)", **_INPUTS}
        wanted |= {c.name: _ELEMENTS[c.dtype] for c in self.manifest.companions}
        given = {**_OUTPUTS, contract.GRADIENT: _GRADIENTS[self.manifest.gradient]}
        for kind, values, types in (("input", inputs, wanted), ("output", outputs, given)):
            for name, element in types.items():
                if name not in values or values[name].type != element:
                    raise ArtifactError(
                        f"the graph has no {kind} '{name}' of type {element}, which its manifest asks for: "
                        "export the model again"
                    )
        for name in inputs:
            if name not in wanted:
                raise ArtifactError(f"the graph has the further input '{name}', which nothing feeds")
        if tuple(o.name for o in self._session.get_outputs()) != self.manifest.outputs:
            raise ArtifactError(
                "the graph's outputs are not those that its manifest names: export the model again"
            )
        classes, logits = self.manifest.classes, outputs.get(self.manifest.logits)
        columns = logits.shape[1] if logits is not None and len(logits.shape) == 2 else None
        # One logit per row tells two classes apart.
        if isinstance(columns, int) and columns != classes and (columns, classes) != (1, 2):
            raise ArtifactError(
                f"the graph has {columns} logits per row, and its manifest {classes} classes: export again"
            )
        shape = tuple(d if isinstance(d, int) else None for d in inputs[self.manifest.input].shape[1:])
        if shape != self.manifest.shape:
            raise ArtifactError(
                f"the graph's input has shape {shape} and its manifest says {self.manifest.shape}: "
                "export the model again"
            )


def _spare_memory(ort: Any, options: Any) -> None:
    """Have the CPU take a half to a third of the memory for activations, in the same time.

    A memory pattern is one more block of the whole peak, beside what the first evaluation took. Buffers that
    are planned to be used again are held until then, where the arena would give them to others. By priority,
    nodes run in the file's order, which has what only the backward pass reads stand where it is read.
    """
    options.enable_mem_pattern = options.enable_mem_reuse = False
    options.execution_order = ort.ExecutionOrder.PRIORITY_BASED


def _failure(error: Exception, count: int) -> FluxpathError:
    """What ONNX Runtime raised while it evaluated so many slots, as an error of fluxpath's."""
    if OUT_OF_MEMORY.search(str(error)):
        return OutOfMemoryError(f"ONNX Runtime has no memory for {count} slots: {first_line(error)}")
    return FluxpathError(f"ONNX Runtime failed on the gradient graph: {first_line(error)}")


def require_providers(providers: Sequence[str]) -> Any:
    """The module onnxruntime; ProviderError if it or one of the providers is missing."""
    ort = _onnxruntime()
    for provider in providers:
        if provider not in (available := ort.get_available_providers()):
            raise ProviderError(
                f"ONNX Runtime has no execution provider '{provider}' here, it has {', '.join(available)}"
            )
    return ort


def device_option(number: int) -> dict[str, str]:
    """The provider option that chooses a GPU.

    The first one, which is the default, is not named: where `device_id` is given, ONNX Runtime since 1.26
    looks for a plugin with that device, and warns on stderr that there is none.
    """
    return {"device_id": str(number)} if number else {}


def _onnxruntime() -> Any:
    disable_telemetry()
    try:
        import onnxruntime
    except ImportError as error:
        raise ProviderError(
            'onnxruntime is not installed: pip install "fluxpath[cpu]", or "fluxpath[cuda]" for a GPU'
        ) from error
    return onnxruntime
