"""Writes a whole method: a classifier, its gradient and the loop around them in one ONNX file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import onnx_ir as ir

from fluxpath.errors import ModelError
from fluxpath.export.artifact import read, write
from fluxpath.export.gradient_graph import Exported, Progress, gradient_from_onnx
from fluxpath.export.settings import Options, takes_settings
from fluxpath.export.whole_method.base import WholeMethod
from fluxpath.export.whole_method.loop import OUTPUTS, wrap
from fluxpath.export.whole_method.methods import chosen_method
from fluxpath.export.whole_method.verification import verify_method
from fluxpath.files import spare_source


@takes_settings
def attribution_from_onnx(
    model: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    method: str | WholeMethod = "mfaba-sharp",
    settings: Mapping[str, Any] | None = None,
    progress: Progress = lambda stage: None,
    **options: Unpack[Options],
) -> Exported:
    """Compile the ONNX classifier `model` and an attribution method around it into the one file `path`.

    The file has operators of the standard only and needs no fluxpath to run; `docs/runtimes.md` says which
    runtimes have run such files. Inputs: the model's own, float32 [batch, ...], and `target`, int64 [batch]
    (negative: the predicted class). Outputs: `attribution` (the input's shape), `steps` and `status` int32
    [batch] (the numbers of `fluxpath.runtime.Status`), `score` float32 [batch] and `label` int64 [batch] (the
    objective and the predicted class at the input), `explained` int64 [batch] (the target that was used).

    A file cannot raise: an input that is not finite or leaves its range, or a target that is no class, has
    the status 6 (non-finite), zeros as its attribution and NaN as its score, beside whatever others. Zeros of
    a saturated probability, whose gradients are too small for float32, have the status 7 (underflow).

    method: "mfaba-sharp", "mfaba-smooth", "neflag", "integrated-gradients", with the given `settings` by
        name; or the settings themselves, such as `fluxpath.export.whole_method.MFABA(max_steps=20)`. Lengths
        (step_size, radius) are in units of the model's range, as the runtime's.
    options: those of `gradient_from_onnx`, as objective="logit".

    The file is verified against the method computed step by step in numpy, its gradient in float64, before
    it is written; nothing is left at `path` if that or anything else fails. Raises ModelError,
    UnsupportedOperatorError, InputError (for settings) or VerificationError.
    """

    spare_source(model, path)

    def gradient(file: Path) -> Exported:
        return gradient_from_onnx(model, file, **options)

    return compile_around(gradient, path, chosen_method(method, settings), progress)


def compile_around(
    gradient: Callable[[Path], Exported],
    path: str | os.PathLike[str],
    method: WholeMethod,
    progress: Progress = lambda stage: None,
) -> Exported:
    """The same around the gradient graph that `gradient` writes into the file it is given."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "gradient.onnx"
        progress("compiling the gradient")
        notes = gradient(file).notes
        done = attribution_from_gradient(file, path, method=method, progress=progress)
    return replace(done, notes=notes)


def attribution_from_gradient(
    gradient: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    method: str | WholeMethod = "mfaba-sharp",
    settings: Mapping[str, Any] | None = None,
    progress: Progress = lambda stage: None,
) -> Exported:
    """The same from a gradient graph that was written before; raises ArtifactError where it is none."""
    chosen, target = chosen_method(method, settings), Path(path)
    if target.suffix == ".pt":
        raise ModelError(f"a whole method is written as ONNX, and '{target}' has the suffix of TorchScript")
    source = Path(gradient)
    spare_source(source, target)
    proto, manifest = read(source)
    if not manifest.factored:
        raise ModelError(
            "the gradient is written as one product, and a method needs its two factors: export it with "
            "factored=True (on the command line, without --plain)"
        )
    if manifest.gradient != "float32":
        raise ModelError(
            f"the gradient is written in {manifest.gradient}, and a method needs float32: export it with "
            'gradient_dtype="float32" (on the command line, without --gradient-dtype)'
        )
    progress("writing the loop")
    written = ir.to_proto(wrap(ir.from_proto(proto), manifest, chosen))
    manifest = replace(
        manifest,
        method=chosen.name,
        settings=chosen.settings(),
        logits=f"loop/{manifest.logits}",
        outputs=OUTPUTS,
        weights=None,
    )
    progress("verifying the loop")
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"
        write(written, manifest, trial)
        verification = verify_method(trial, source, manifest, chosen)
    verified = {**(manifest.verified or {}), **verification.figures}
    manifest = write(written, replace(manifest, error=verification.error, verified=verified), target)
    return Exported(target, manifest, verification)
