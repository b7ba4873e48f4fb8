"""Compiles a torch module with its input gradient: to ONNX with torch's own exporter, or to TorchScript."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from fluxpath import archive
from fluxpath.errors import ModelError, UnsupportedOperatorError
from fluxpath.export.double import DoubleError
from fluxpath.export.gradient_graph import Check, Exported, Progress, compile_gradient
from fluxpath.export.reading import load
from fluxpath.export.settings import Options, Settings, takes_settings
from fluxpath.files import need_target

if TYPE_CHECKING:
    import torch

    from fluxpath.export.torch_module.subject import Subject


@takes_settings
def gradient_from_torch(
    module: torch.nn.Module,
    example: Any,
    path: str | os.PathLike[str],
    *,
    progress: Progress = lambda stage: None,
    **options: Unpack[Options],
) -> Exported:
    """Compile the classifier `module` with its input gradient into the file `path`.

    The file is a gradient graph as `gradient_from_onnx` writes it, with the same settings; ending in ".pt" it
    is TorchScript, see `torchscript.py`.

    example: one input or a batch, whatever its values: a float32 tensor [batch, ...], or where the module
        takes several inputs a tuple of tensors, or a mapping of argument names to tensors. Its sizes
        become the graph's, except for the batch.
    input, output: the name of the input to explain, and of the logits in what the module returns, where
        it cannot be told: "logits" of a mapping or of a ModelOutput, the first of a tuple.

    The module is exported in evaluation mode and left as it was. What was written is verified against
    torch.autograd of a float64 copy of the module. Where torch's newer exporter or a derivative rule fails,
    the older exporter and attention written out are tried, which `Exported.notes` says.

    Raises ModelError, UnsupportedOperatorError or VerificationError, and leaves no file then.
    """
    settings = Settings(**options)
    if settings.rules == "deeplift" and Path(path).suffix == archive.SUFFIX:
        raise ModelError(f"'{path}' asks for TorchScript, and DeepLIFT is written as ONNX: take .onnx")
    need_target(Path(path))
    if settings.shape is not None:
        raise ModelError("shape belongs to ONNX models, and a module's sizes are the example's: leave it out")
    module_type = _torch().nn.Module
    if not isinstance(module, module_type):
        raise ModelError(f"the model is of type {type(module).__name__}, and it must be a torch.nn.Module")
    from fluxpath.export.torch_module.subject import digest_of, evaluating, subject_of

    progress("reading the model")
    with evaluating(module):
        subject = subject_of(module, example, settings.input, settings.output, settings.objective)
        digest = digest_of(module)
        if Path(path).suffix == archive.SUFFIX:
            from fluxpath.export.torch_module.torchscript import write_torchscript

            return write_torchscript(subject, digest, Path(path), settings, progress)
        return _write_onnx(subject, digest, Path(path), settings, progress)


def _write_onnx(
    subject: Subject, digest: str, path: Path, settings: Settings, progress: Progress
) -> Exported:
    from fluxpath.export.torch_module.exporter import OPSET, attempts, to_onnx
    from fluxpath.export.torch_module.subject import reason, refuse_branching

    # The exporter leaves one output, the logits.
    chosen = replace(settings, input=subject.input, output=None)
    # Autograd knows no multipliers: these are held against the ONNX model's own difference.
    check, notes = _check(subject, settings) if settings.rules == "gradient" else (None, [])
    failures: list[Exception] = []
    for attempt in attempts(subject.call):
        if attempt.single and not any(isinstance(failure, DoubleError) for failure in failures):
            break
        progress(f"exporting with {attempt}")
        try:
            proto = to_onnx(subject, attempt, max(OPSET, settings.oldest_opset))
        except Exception as error:  # torch's exporters raise whatever they meet
            # The older exporter would follow the branch that the example takes, and say nothing.
            refuse_branching(error)
            failures.append(error)
            continue
        try:
            done = compile_gradient(load.Source(proto, digest), path, chosen, progress, check)
        except UnsupportedOperatorError as error:
            failures.append(error)
            continue
        if failures:
            notes.append(f"exported with {attempt}, because before that {reason(failures[0])}")
        return replace(done, notes=(*done.notes, *notes))
    # A missing rule says more than an exporter that failed.
    for failure in failures:
        if isinstance(failure, UnsupportedOperatorError):
            raise failure
    raise ModelError(
        f"torch cannot export the module to ONNX ({reason(failures[0])}): write TorchScript instead, which "
        "needs no exporter, to a file that ends in .pt"
    ) from failures[0]


def _check(subject: Subject, settings: Settings) -> tuple[Check | None, list[str]]:
    """Verification by autograd; None and a note where the module does not run in float64."""
    from fluxpath.export.torch_module.reference import Reference

    try:
        reference = Reference(subject, settings)
    except ModelError as error:
        return None, [f"verified against differences of the ONNX model, because {error}"]
    reference.check_rows()  # before an exporter finds fault with an operator that makes the trouble
    return reference.check_model, []


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise ModelError('exporting a torch module needs torch: pip install "fluxpath[torch]"') from error
    return torch
