"""Reads an ONNX classifier and brings it into the form that the autodiff works on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
from google.protobuf.message import DecodeError

from fluxpath.errors import ModelError

OLDEST_OPSET = 18
"""Rules are written for this operator set and later; older models are converted first."""

CONVERTED_OPSET = 20
"""The operator set that older models are converted to."""


@dataclass(frozen=True)
class Source:
    """A model as it was read: its protobuf (converted to a supported opset) and its file's hash."""

    proto: onnx.ModelProto
    digest: str


def read(path: Path, oldest: int = OLDEST_OPSET) -> Source:
    """Read and check the model at `path`, and convert it if its opset is below `oldest`.

    ModelError says what is wrong with it.
    """
    if not path.is_file():
        raise ModelError(f"there is no model file '{path}'")
    data = path.read_bytes()
    try:
        proto = onnx.load(path)
        onnx.checker.check_model(proto)
    except (DecodeError, onnx.checker.ValidationError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"'{path}' is not a valid ONNX model: {reason}") from error
    return Source(_converted(proto, path, oldest), "sha256:" + hashlib.sha256(data).hexdigest())


def opset_of(proto: onnx.ModelProto) -> int:
    """The version of the standard operator set that the model uses."""
    return next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), 0)


def _converted(proto: onnx.ModelProto, path: Path, oldest: int) -> onnx.ModelProto:
    version = opset_of(proto)
    if version >= oldest:
        return proto
    wanted = max(CONVERTED_OPSET, oldest)
    try:
        return onnx.version_converter.convert_version(proto, wanted)
    except Exception as error:  # the converter raises whatever its C++ side throws
        raise ModelError(
            f"'{path}' uses opset {version} and cannot be converted to {wanted} ({error}): "
            f"export the model with opset {oldest} or later"
        ) from error


def prepare(proto: onnx.ModelProto) -> ir.Model:
    """The model in memory: functions inlined, constants as initializers, metadata gone, shapes inferred."""
    model = ir.from_proto(proto)
    for step in (
        common.InlinePass(),
        common.RemoveUnusedFunctionsPass(),  # type: ignore[no-untyped-call]
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.RemoveInitializersFromInputsPass(),
        common.ClearMetadataAndDocStringPass(),
        common.NameFixPass(),
    ):
        model = step(model).model
    return model


def infer_shapes(model: ir.Model) -> ir.Model:
    """Infer element types and shapes of all values, following shape arithmetic."""
    return common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model).model
