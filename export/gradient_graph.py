"""Writes a gradient graph: a classifier and its input gradient in one ONNX file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Unpack

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from fluxpath import archive
from fluxpath.errors import FluxpathError, ModelError, first_line
from fluxpath.export.artifact import write
from fluxpath.export.backward_pass import append_gradient
from fluxpath.export.builder import dims, named
from fluxpath.export.chain import Pass, applied
from fluxpath.export.double import refuse_double
from fluxpath.export.objectives import AMONG_CLASSES
from fluxpath.export.open_sizes import with_fills, with_sizes
from fluxpath.export.passes.batchnorm import fold_batchnorm
from fluxpath.export.passes.covering_pool import pool_everything
from fluxpath.export.passes.gates import join_gates, write_gates
from fluxpath.export.passes.layout import keep_blocked
from fluxpath.export.passes.normalization import normalize_input
from fluxpath.export.passes.pad_fusion import keep_pads
from fluxpath.export.passes.precision import PRECISIONS, narrow
from fluxpath.export.passes.scale import fold_scales
from fluxpath.export.passes.shortcut import convolve_shortcuts
from fluxpath.export.reading import batch, classifier, ends, load, names
from fluxpath.export.reading.identities import eliminate_identities
from fluxpath.export.reading.inference import infer_shapes
from fluxpath.export.reading.shape_arithmetic import fold_shapes
from fluxpath.export.reading.sizes import refuse_too_large
from fluxpath.export.settings import Options, Settings, described, takes_settings
from fluxpath.export.verification.gradient import verify_model
from fluxpath.export.verification.judgement import Verification
from fluxpath.export.verification.probabilities import check_probabilities
from fluxpath.export.verification.rows import check_graph
from fluxpath.export.verification.running import Evaluate
from fluxpath.files import spare_source
from fluxpath.manifest import Manifest

Progress = Callable[[str], None]
"""Told the name of each stage of an export as it begins."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote: the file, its manifest, the figures of its verification, and what to know."""

    path: Path
    manifest: Manifest
    verification: Verification
    notes: tuple[str, ...] = ()


@takes_settings
def gradient_from_onnx(
    model: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    progress: Progress = lambda stage: None,
    **options: Unpack[Options],
) -> Exported:
    """Compile the ONNX classifier `model` with its input gradient into the file `path`.

    The gradient graph takes the model's input (float32 [batch, ...]) and `target` (int64 [batch]; negative:
    the predicted class) and gives the model's own outputs, `score` float32 [batch], `label` int64 [batch],
    `gradient` (the input's shape) and `scale` float32 [batch], with
    d score[b] / d input[b] = scale[b] * gradient[b]. It uses operators of the ONNX standard only.

    objective: "softmax" (the probability of the target), "log_softmax", "logit", "margin" (the target's logit
        minus the largest other one) or "sigmoid" (the target's probability where each class has its own). A
        Softmax or Sigmoid at the end of the model is seen through. A single output is a binary classifier
        with the classes 0 and 1, or with "logit" a regressor with the one class 0.
    input, output: names, where the model has several. input_range: the bounds of a valid input, None if
        there are none. mean, std: a normalisation that the model expects to be done already; the graph
        then does it, and takes inputs in `input_range`. preprocessing: a `Preprocessing`, which says
        how photos become inputs, kept in the manifest. class_names: one per class, kept there too.
    factored: False writes scale = 1 and the whole derivative as `gradient`, which loses digits where the
        prediction is saturated.
    precision: "float32", or "float16" or "bfloat16" inside; inputs, outputs and the objective stay float32.
        The loss is measured, like any error, at verification; networks of ReLUs lose most (`precision.py`).
    gradient_dtype: of the output `gradient`, "float32" or the precision. A half-precision graph has its
        gradient in half precision anyway, and then writes half as many bytes for a GPU to read; `scale` stays
        apart, in float32, so that nothing underflows.
    rules: "gradient", or "deeplift": `gradient` then holds DeepLIFT's multipliers m by the rescale rule, with
        sum(m * (x - baseline)) = score(x) - score(baseline), in float32. They explain the raw output, so the
        objective must be "logit". baseline: a number, or an array of the input's shape without the batch.
    shape: the input's sizes without the batch, which become the graph's where the model leaves them open.
        Without it they stay open, and the graph is verified at the first usual size that the model takes.

    The written graph is verified against central differences in float64 first; nothing is left at `path`
    if that or anything else fails. Raises ModelError, UnsupportedOperatorError or VerificationError.
    """
    settings = Settings(**options)
    if Path(path).suffix == archive.SUFFIX:
        raise ModelError(
            f"'{path}' asks for TorchScript, which is made of a torch module, not of an ONNX model"
        )
    spare_source(model, path)
    progress("reading the model")
    try:
        source = load.read(Path(model), settings.oldest_opset)
        if settings.output is not None:
            settings = replace(settings, output=ends.free(settings.output))
        return compile_gradient(source, Path(path), settings, progress)
    except FluxpathError:
        raise
    except MemoryError as error:
        raise ModelError(
            f"'{model}' needs more memory than there is ({first_line(error)}): check its sizes, or export it "
            "on a larger machine"
        ) from error
    except Exception as error:  # a damaged model leads anywhere
        raise ModelError(
            f"'{model}' cannot be compiled ({type(error).__name__}: {first_line(error)}): see what "
            "onnx.checker.check_model(..., full_check=True) says of it, and if nothing, please report it"
        ) from error


Check = Callable[[onnx.ModelProto, Evaluate, Manifest], Verification]
"""Holds a gradient graph, with what runs it, against an independent gradient in float64.

Raises VerificationError if it is wrong.
"""


def compile_gradient(
    source: load.Source, path: Path, settings: Settings, progress: Progress, check: Check | None = None
) -> Exported:
    """Differentiate, verify and write `source`; see `gradient_from_onnx`.

    `check` verifies; without it, central differences of `source` itself do.
    """
    progress("differentiating")
    if settings.output is None and len(source.proto.graph.output) > 1:
        settings = replace(settings, output=classifier.obvious_output(_read(source.proto, settings)))
    check = _check_by_differences(source, settings) if check is None else check
    if settings.precision != "float32":
        # The rules must pass in float32; the error measured below is then the loss of the precision.
        single, told = differentiated(
            source, replace(settings, precision="float32", gradient_dtype="float32")
        )
        told = with_sizes(single, with_fills(single, told))
        check(single, check_graph(single, told, settings.output)[0], told)
    written, manifest = differentiated(source, settings)
    refuse_double(written)
    progress("verifying against float64")
    manifest = with_fills(written, manifest)
    sized = with_sizes(written, manifest)
    evaluate, figures = check_graph(written, sized, settings.output)
    verification = check(written, evaluate, sized)
    compared, doubts = check_probabilities(source.proto, evaluate, sized, settings.output)
    figures |= compared
    manifest = replace(manifest, error=verification.error, verified={**verification.figures, **figures})
    manifest = write(written, manifest, path)
    # Differences of a gradient that is not zero never agree with it to the last digit.
    zero = verification.error == 0.0 and settings.rules == "gradient"
    return Exported(path, manifest, verification, (*verification.notes, *doubts, *((_ZERO,) if zero else ())))


_ZERO = (
    "the gradient is zero at all inputs that were tried: an attribution will show nothing; load trained "
    "weights if the last layer's are still zero"
)


def _check_by_differences(source: load.Source, settings: Settings) -> Check:
    def check(written: onnx.ModelProto, evaluate: Evaluate, manifest: Manifest) -> Verification:
        # Read anew, because it is widened in place; as a protobuf too it would be held twice.
        return verify_model(written, manifest, _prepared(source.proto, settings), evaluate=evaluate)

    return check


def differentiated(source: load.Source, settings: Settings) -> tuple[onnx.ModelProto, Manifest]:
    """The gradient graph of `source` and its manifest, not verified."""
    graph = _prepared(source.proto, settings)
    found = classifier.find(graph, settings.input, settings.output)
    whole, logits = settings.precision == "float32", str(found.logits.name)
    narrowed = partial(narrow, dtype=PRECISIONS[settings.precision], logits=logits)
    rewrites = (convolve_shortcuts, fold_scales) if whole else (narrowed,)
    graph = applied(graph, (pool_everything, *rewrites))
    found = replace(found, logits=named(graph.graph, logits))
    shape = tuple(d if isinstance(d, int) else None for d in dims(found.input)[1:])
    baseline = None if settings.rules == "gradient" else settings.baseline_in(shape)
    dtype = PRECISIONS[settings.gradient_dtype]
    if baseline is None:
        join_gates(graph)
    append_gradient(graph, found, settings.objective, settings.factored, baseline, dtype)
    if baseline is None:
        write_gates(graph)
    graph = applied(graph, (keep_blocked, keep_pads) if whole else (keep_pads,))
    classes = found.classes(settings.objective)
    if settings.class_names is None and len(source.class_names) == classes:
        settings = replace(settings, class_names=source.class_names)
    manifest = described(
        settings,
        input=str(found.input.name),
        shape=shape,
        classes=classes,
        objective=found.effective(settings.objective),
        opset=int(graph.opset_imports.get("", 0)),
        source=source.digest,
        logits=logits,
        companions=found.companions,
        outputs=tuple(str(v.name) for v in graph.graph.outputs),
    )
    return ir.to_proto(applied(graph, _FINISH)), manifest


def _read(proto: onnx.ModelProto, settings: Settings) -> ir.Model:
    """The model in the form that is differentiated, with all that is known of its values' shapes."""
    normalization: list[Pass] = []
    if settings.mean is not None and settings.std is not None:
        normalization = [
            partial(normalize_input, input_name=settings.input, mean=settings.mean, std=settings.std)
        ]
    return applied(
        load.prepare(proto),
        (
            partial(batch.make_batch_dynamic, input_name=settings.input),
            partial(classifier.fix_sizes, input_name=settings.input, shape=settings.shape),
            *normalization,
            infer_shapes,
            refuse_too_large,
            fold_shapes,
        ),
    )


def _prepared(proto: onnx.ModelProto, settings: Settings) -> ir.Model:
    return applied(
        _read(proto, settings),
        (
            fold_batchnorm,
            partial(
                classifier.expose_logits,
                output_name=settings.output,
                among_classes=settings.objective in AMONG_CLASSES,
            ),
            names.free_names,
        ),
    )


def _without_traces(model: ir.Model) -> ir.Model:
    """Nothing that says who or what wrote the source model."""
    model.producer_name, model.producer_version = "fluxpath", None
    model.doc_string = model.domain = model.model_version = None
    model.metadata_props.clear()
    return model


_FINISH: tuple[Pass | ir.passes.PassBase, ...] = (
    common.RemoveUnusedNodesPass(),
    eliminate_identities,
    common.CommonSubexpressionEliminationPass(),
    common.RemoveUnusedNodesPass(),
    common.RemoveUnusedOpsetsPass(),
    _without_traces,
)
