"""Runs a gradient graph in TorchScript. Imported only to open a file whose name ends in ".pt"."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath import archive, script
from fluxpath import manifest as contract
from fluxpath.artifact import read_file
from fluxpath.errors import ArtifactError, FluxpathError, OutOfMemoryError, ProviderError, first_line
from fluxpath.runtime.backends.base import DEFAULTS, Forward, GradientSession, Options
from fluxpath.runtime.backends.rewrites.channels_last import require_images, rewrite
from fluxpath.runtime.lanes import Lanes

# The kinds of tensors that an operator may be asked for, as torch numbers them. Torch looks up any other
# number in its tables unchecked. Quantized types and sparse tensors are left out: no export makes them.
_DTYPES = {*range(12), 15}
_NEWER_DTYPES = {
    23: "float8_e5m2", 24: "float8_e4m3fn", 25: "float8_e5m2fnuz", 26: "float8_e4m3fnuz", 27: "uint16",
    28: "uint32", 29: "uint64",
}  # fmt: skip
_LAYOUTS, _MEMORY_FORMATS = {0}, set(range(4))

_RESULTS = (contract.GRADIENT, contract.SCALE, contract.SCORE, contract.LABEL)


class TorchScriptSession(GradientSession):
    """A gradient graph in TorchScript that runs on the CPU, in place on the engine's arrays.

    Reads the file once; torch gets only what the seal covers.
    options: device, threads (torch's, for the whole process) and channels_last apply. channels_last makes
    torch hold images and convolution weights in that order; the lanes keep theirs.
    Raises ArtifactError if the file is not an intact gradient graph, ProviderError if torch or CUDA is
    missing, InputError if channels_last does not fit the graph.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        options: Options = DEFAULTS,
    ) -> None:
        data = read_file(Path(path))
        entries, self.manifest = archive.unseal(data)
        self.sha256 = hashlib.sha256(data).hexdigest()
        if not options.trust:
            entries = script.checked(entries)
        missing = [name for name in _RESULTS if name not in self.manifest.outputs]
        if missing:
            raise ArtifactError(f"'{path}' gives no '{missing[0]}': export the model again")
        self._torch = _torch()
        if options.device.startswith("cuda"):
            require_cuda()
        if options.threads is not None:
            self._torch.set_num_threads(options.threads)
        self._device = self._torch.device(options.device)
        self._order: Any = None
        if options.channels_last:
            require_images(self.manifest, path)
        packed = archive.pack(entries)
        self._modules(lambda: self._loaded(packed, path, options))

    def _modules(self, load: Callable[[], Any]) -> None:
        """Set `_module`, which the runs call; each call of `load` gives another copy of it."""
        self._module = load()

    def _loaded(self, packed: bytes, path: str | os.PathLike[str], options: Options) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # TorchScript is announced as deprecated
                module = self._torch.jit.load(io.BytesIO(packed), self._device)
        except Exception as error:  # torch raises RuntimeError and several of its own
            raise ArtifactError(f"torch cannot load '{path}': {first_line(error)}") from error
        if not options.trust:
            require_known_kinds(self._torch, module.graph, path)
        if options.channels_last:
            self._order = rewrite(self._torch, module.graph, len(self.manifest.shape) + 1, path)
        return module

    @property
    def output(self) -> int | None:
        """The number of classes if the first output surely has one column per class, else None."""
        # For two classes the module may give one logit per row, and the manifest does not say which.
        classes = self.manifest.classes
        return classes if classes > 2 and self.manifest.outputs[0] not in _RESULTS else None

    @property
    def place(self) -> str:
        """torch's device."""
        return str(self._device)

    def forward(self) -> Forward:
        """The logits by the part of the traced graph that computes them, with the same weights."""
        torch, manifest, device = self._torch, self.manifest, self._device
        names = [manifest.input, contract.TARGET, *(c.name for c in manifest.companions)]
        function, places = _cut(torch, self._module.graph, manifest.logits)
        fed = [names[place] for place in places]

        def logits(inputs: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
            try:
                with torch.inference_mode(), torch.jit.optimized_execution(False):
                    values = [torch.from_numpy(inputs[name]).to(device) for name in fed]
                    if self._order is not None:
                        at = fed.index(manifest.input)
                        values[at] = values[at].contiguous(memory_format=self._order)
                    found: npt.NDArray[np.float32] = function(*values).float().cpu().numpy()
            except Exception as error:
                raise self._failure(error) from error
            return found

        return logits

    def bind(self, lanes: Lanes) -> None:
        """Use the engine's arrays, through tensors that share their memory."""
        arrays = {
            self.manifest.input: lanes.point.reshape(lanes.slots, *lanes.shape),
            contract.TARGET: lanes.target,
            **lanes.companions,
        }
        results = {
            contract.GRADIENT: lanes.gradient.reshape(lanes.slots, *lanes.shape),
            contract.SCALE: lanes.scale,
            contract.SCORE: lanes.score,
            contract.LABEL: lanes.label,
        }
        if lanes.output is not None:
            results[self.manifest.outputs[0]] = lanes.output
        self._inputs = [self._torch.from_numpy(a) for a in arrays.values()]
        self._results = {name: self._torch.from_numpy(array) for name, array in results.items()}

    def run(self, count: int) -> None:
        """Evaluate the gradient graph on the first `count` slots."""
        try:
            with self._torch.inference_mode():
                given = self._evaluated(self._module, count)
                for name, result in self._results.items():
                    self._take(name, given[name], result[:count])
        except ArtifactError:
            raise
        except Exception as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> FluxpathError:
        """What torch raised on the graph as an error of fluxpath's."""
        where = "" if self._order is None else " in channels-last order"
        # The interpreter turns torch.OutOfMemoryError into a RuntimeError with the same text.
        missing = isinstance(error, self._torch.OutOfMemoryError) or "out of memory" in str(error)
        kind = OutOfMemoryError if missing else FluxpathError
        return kind(f"torch failed on the gradient graph{where}: {_last_line(error)}")

    def _take(self, name: str, value: Any, result: Any) -> None:
        """Copy an output to the lanes, which by itself would also repeat rows and convert numbers."""
        if value.shape != result.shape or value.is_floating_point() != result.is_floating_point():
            raise ArtifactError(
                f"the graph gives '{name}' as {value.dtype} {list(value.shape)}, and its manifest asks for "
                f"{result.dtype} {list(result.shape)}: export the model again"
            )
        result.copy_(value)

    def _evaluated(self, module: Any, count: int) -> Any:
        """The outputs of `module` on the first `count` slots, by name."""
        image, *more = (v[:count].to(self._device) for v in self._inputs)
        if self._order is not None:
            image = image.contiguous(memory_format=self._order)
        # The optimizing executor rewrites the module in its first runs, and on CUDA compiles kernels anew for
        # batch sizes as they come: seconds, for kernels that are no faster than torch's own.
        with self._torch.jit.optimized_execution(False):
            return module(image, *more)


def _cut(torch: Any, graph: Any, logits: str) -> tuple[Any, list[int]]:
    """A function for the logits alone, and which of the graph's inputs after `self` it takes.

    ArtifactError if the graph gives no dict with the logits in it.
    """
    cut = graph.copy()
    (result,) = cut.outputs()
    given = list(result.node().inputs()) if result.node().kind() == "prim::DictConstruct" else []
    named = {key.toIValue(): value for key, value in zip(given[::2], given[1::2], strict=True)}
    if logits not in named:
        raise ArtifactError(f"the graph gives no '{logits}': export the model again")
    cut.eraseOutput(0)
    cut.registerOutput(named[logits])
    torch._C._jit_pass_dce(cut)
    inputs = list(cut.inputs())
    places = [place for place, value in enumerate(inputs) if value.uses()]
    for place in reversed(range(len(inputs))):
        if place not in places:
            cut.eraseInput(place)
    # A frozen module holds nothing, so that `self` is not among them.
    return torch._C._create_function_from_graph("forward", cut), [place - 1 for place in places]


def require_known_kinds(torch: Any, graph: Any, path: object) -> None:
    """Raise ArtifactError unless each kind of tensor that the loaded `graph` asks for is literal and known.

    Here, because only torch knows which of an operator's parameters an argument is for.
    """
    dtypes = _DTYPES | {number for number, name in _NEWER_DTYPES.items() if hasattr(torch, name)}
    known = {"dtype": dtypes, "layout": _LAYOUTS, "format": _MEMORY_FORMATS}
    for node in graph.nodes():
        if not node.kind().startswith("aten::"):
            continue
        for parameter, value in zip(
            torch._C.parse_schema(node.schema()).arguments, node.inputs(), strict=True
        ):
            kinds = known.get(parameter.name.rpartition("_")[2])
            if kinds is None:
                continue
            given = value.toIValue() if value.node().kind() == "prim::Constant" else "computed"
            if given is not None and given not in kinds:
                raise ArtifactError(
                    f"the TorchScript in '{path}' calls torch.{node.kind()[6:]} with the {parameter.name} "
                    f"{given}, which no export writes and could crash torch: open it with "
                    "trust=True (on the command line, --trust) only if you trust whoever made it"
                )


def require_cuda() -> None:
    """Raise ProviderError if torch is missing or finds no GPU."""
    if not _torch().cuda.is_available():
        raise ProviderError("torch finds no CUDA device here: use device='cpu'")


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ProviderError(
            'a TorchScript file needs torch, which is not installed: pip install "fluxpath[torch]", or '
            "export the model as .onnx"
        ) from error
    return torch


def _last_line(error: Exception) -> str:
    """The last line of the message, where torch's interpreter names the error, below a listing of code."""
    return str(error).strip().rpartition("\n")[2] or type(error).__name__
