"""Writes a gradient graph as TorchScript: traced, scripted, frozen, sealed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from fluxpath import archive, script
from fluxpath import manifest as contract
from fluxpath.errors import ArtifactError, ModelError
from fluxpath.export.gradient_graph import Exported, Progress
from fluxpath.export.settings import Settings, described
from fluxpath.export.torch_module.exporter import quiet
from fluxpath.export.torch_module.reference import Reference, numbers_in_float64
from fluxpath.export.torch_module.subject import Subject, reason
from fluxpath.export.torch_module.trace import LOGITS, OUTPUTS, trace, traced
from fluxpath.export.verification.running import Evaluate
from fluxpath.files import replacing_model

_TRACES = ".debug_pkl"
"""Entries of a TorchScript archive with source paths and stack traces of the machine that wrote it."""


def write_torchscript(
    subject: Subject, digest: str, path: Path, settings: Settings, progress: Progress
) -> Exported:
    """Differentiate, verify and write `subject`; see `gradient_from_torch`."""
    reference = Reference(subject, settings)
    reference.check_rows()
    progress("differentiating")
    entries = _entries(_scripted(trace(subject, settings)))
    manifest = described(
        settings,
        input=subject.input,
        shape=subject.shape,
        classes=subject.classes(settings.objective),
        objective=subject.effective(settings.objective),
        opset=None,
        source=digest,
        logits=LOGITS,
        companions=subject.companions,
        outputs=OUTPUTS,
    )
    progress("verifying against float64")
    evaluate = _evaluator(archive.seal(entries, manifest), manifest)
    verification = reference.check(evaluate, lambda: _in_float64(subject, settings, manifest), manifest)
    manifest = replace(manifest, error=verification.error, verified=verification.figures)
    with replacing_model(path) as temporary:
        temporary.write_bytes(archive.seal(entries, manifest))
    return Exported(path, manifest, verification, verification.notes)


def _scripted(graph: torch.fx.GraphModule) -> torch.jit.ScriptModule:
    try:
        with quiet():
            return torch.jit.freeze(torch.jit.script(graph.eval()))
    except Exception as error:  # the script compiler raises RuntimeError and several of its own
        raise ModelError(f"torch cannot script the module's gradient: {reason(error)}") from error


def _entries(module: torch.jit.ScriptModule) -> dict[str, bytes]:
    """What torch.jit.save writes of `module`, as far as a file may hold it; ModelError where it may not."""
    buffer = io.BytesIO()
    with quiet():
        torch.jit.save(module, buffer)
    with zipfile.ZipFile(buffer) as saved:
        entries = {name: saved.read(name) for name in saved.namelist() if not name.endswith(_TRACES)}
    try:
        return script.checked(entries)
    except ArtifactError as error:  # whoever opens the file would be told so
        what = str(error).partition(", which no export writes")[0]
        raise ModelError(f"the module cannot be a .pt file, {what}: export it as .onnx") from error


def _evaluator(data: bytes, manifest: contract.Manifest) -> Evaluate:
    """Runs the bytes that go into the file."""
    with quiet():
        return _called(torch.jit.load(io.BytesIO(data), "cpu"), manifest, torch.float32)


def _in_float64(subject: Subject, settings: Settings, manifest: contract.Manifest) -> Evaluate:
    """Runs what the file would be if all its numbers were float64."""
    with numbers_in_float64(subject):
        return _called(traced(subject, settings, torch.float64), manifest, torch.float64)


def _called(module: torch.nn.Module, manifest: contract.Manifest, dtype: torch.dtype) -> Evaluate:
    order = [manifest.input, contract.TARGET, *(c.name for c in manifest.companions)]

    def given(value: Any) -> torch.Tensor:
        tensor = torch.from_numpy(value)
        return tensor.to(torch.promote_types(tensor.dtype, dtype)) if tensor.is_floating_point() else tensor

    def evaluate(feeds: Mapping[str, Any]) -> dict[str, Any]:
        with torch.inference_mode():
            out = module(*(given(feeds[name]) for name in order))
        return {name: (v.to(dtype) if v.is_floating_point() else v).numpy() for name, v in out.items()}

    return evaluate
