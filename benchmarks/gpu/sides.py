"""Every way of explaining that is compared, by a name of words; and the methods."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # whoever only reads names need not wait for torch
    from benchmarks.gpu.setup import Explain, Setup

IG = "Integrated Gradients"
MFABAS = ("MFABA sharp", "MFABA smooth")
METHODS = (*MFABAS, "NeFLAG", IG)


class NeedsGpuError(RuntimeError):
    """A side that there is no use in trying on a CPU."""


BACKENDS = {"torchscript": "pt", "onnxruntime": "onnx", "tensorrt": "onnx", "aotinductor": "pt"}
"""fluxpath's, and the kind of file that they run."""

FLAGS = {
    "channels-last": "images computed as [height, width, channels]",
    "plain": "without CUDA graphs",
    "tuned": "cuDNN tries its algorithms first",
    "pinned": "the images come from page-locked memory",
    "autocast": "the eager loop's half precision as torch.autocast has it",
}


@dataclass(frozen=True)
class Side:
    """One way, read from words such as "torchscript bfloat16 channels-last".

    kind: "published", "eager" (the best loop), "compiled", "captum", or one of BACKENDS. precision:
    "float32", "TF32", "float16" or "bfloat16". flags: of FLAGS.
    """

    name: str
    kind: str
    precision: str
    flags: frozenset[str]

    @classmethod
    def parse(cls, name: str) -> Side:
        """Raises ValueError for words that mean nothing."""
        kind, precision, *flags = name.split()
        kinds = ("published", "eager", "compiled", "captum", *BACKENDS)
        if kind not in kinds or precision not in ("float32", "TF32", "float16", "bfloat16"):
            raise ValueError(f"{name!r}: a side is one of {', '.join(kinds)}, a precision, and flags")
        if unknown := set(flags) - set(FLAGS):
            raise ValueError(f"{name!r}: the flags are {', '.join(FLAGS)}, not {', '.join(sorted(unknown))}")
        return cls(name, kind, precision, frozenset(flags))

    @property
    def ours(self) -> bool:
        """Whether fluxpath runs it."""
        return self.kind in BACKENDS

    @property
    def dtype(self) -> str:
        """The element type; TF32 is how float32 is multiplied."""
        return "float32" if self.precision == "TF32" else self.precision

    @property
    def file(self) -> str:
        """The kind of file that it needs, as `exported` names it."""
        return f"{self.dtype}.{BACKENDS[self.kind]}"

    def explains(self, method: str) -> bool:
        """Whether it has the method."""
        return self.ours or (method == IG if self.kind == "captum" else method in MFABAS)

    def prepare(self) -> None:
        """Set what torch has one switch for, in this process."""
        import torch

        torch.backends.cudnn.benchmark = "tuned" in self.flags
        for backend in (torch.backends.cudnn, torch.backends.cuda.matmul):
            backend.allow_tf32 = self.precision != "float32"

    def open(self, setup: Setup, stack: ExitStack, seconds: float) -> Explain:
        """Ready to explain; what must be closed goes to the stack. Waits so long for an exported file.

        Raises whatever is wrong: something is not installed, does not fit, or needs a GPU.
        """
        only = {"pinned", "plain"} if self.kind != "onnxruntime" else {"pinned", "plain", "channels-last"}
        if not setup.cuda and (self.precision == "TF32" or self.flags & only):
            raise NeedsGpuError(f"{self.name} needs a GPU")
        if self.ours:
            from benchmarks.gpu import explainers

            return explainers.opened(self, setup, stack, seconds)
        from benchmarks.gpu import loops

        return loops.opened(self, setup)
