"""Reads an ONNX classifier and brings it into the form that the autodiff works on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
from google.protobuf.message import DecodeError

from fluxpath import manifest as contract
from fluxpath.errors import FluxpathError, ModelError, UnsupportedOperatorError, first_line
from fluxpath.export.chain import Pass, applied
from fluxpath.export.reading.classical import write_out_classical
from fluxpath.export.reading.constants import fold_constants
from fluxpath.export.reading.ends import plain_ends
from fluxpath.export.reading.functions import expand_functions
from fluxpath.export.reading.identities import eliminate_identities
from fluxpath.export.reading.inference import forget_invented
from fluxpath.export.reading.recurrent import unroll
from fluxpath.export.rules import unsupported

OLDEST_OPSET = 18
"""Rules are written for this operator set and later; older models are converted first."""

CONVERTED_OPSET = 20
"""The operator set that older models are converted to."""


MOST_NODES = 200_000
"""More than any network has, and as many as fit into memory with their gradients."""

USUAL_IR = 10
"""The version of the file's form that runtimes of the last years read."""


@dataclass(frozen=True)
class Source:
    """A model as it was read: its protobuf (converted to a supported opset), its file's hash, and the names
    of its classes, if it tells them."""

    proto: onnx.ModelProto
    digest: str
    class_names: tuple[str, ...] = ()


def read(path: Path, oldest: int = OLDEST_OPSET) -> Source:
    """Read and check the model at `path`, and convert it if its opset is below `oldest`.

    ModelError says what is wrong with it.
    """
    if not path.is_file():
        raise ModelError(f"there is no model file '{path}'")
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        proto = onnx.load(path, format="protobuf")
        # By its path: a model beyond protobuf's 2 GB has no other form that the checker takes.
        onnx.checker.check_model(os.fspath(path))
    except (DecodeError, onnx.checker.ValidationError, ValueError, OSError) as error:
        raise ModelError(f"'{path}' is not a valid ONNX model: {first_line(error)}") from error
    if any(entry.key == contract.KEY for entry in proto.metadata_props):
        raise ModelError(f"'{path}' is what an export wrote: export the model that it was made of")
    _open_negative_sizes(proto.graph)
    names = plain_ends(proto.graph)
    return Source(_for_older_runtimes(converted(proto, str(path), oldest)), f"sha256:{digest}", names)


def _open_negative_sizes(graph: onnx.GraphProto) -> None:
    """A size of -1, by which some converters say that any size will do, becomes an unknown one."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_value < 0:
                size.ClearField("dim_value")


def opset_of(proto: onnx.ModelProto) -> int:
    """The version of the standard operator set that the model uses."""
    return next((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), 0)


def converted(proto: onnx.ModelProto, name: str, oldest: int) -> onnx.ModelProto:
    """The model called `name` in operator set `oldest` or later; ModelError where there is no way."""
    version = opset_of(proto)
    if version >= oldest:
        return proto
    wanted = max(CONVERTED_OPSET, oldest)
    try:
        later = onnx.version_converter.convert_version(proto, wanted)
    except Exception as error:  # the converter raises whatever its C++ side throws
        raise ModelError(
            f"'{name}' uses opset {version} and cannot be converted to {wanted} ({error}): "
            f"export the model with opset {oldest} or later"
        ) from error
    if version < 11:
        _keep_coordinates(later.graph)
    return later


def _for_older_runtimes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model in an older form of the file where its operators allow that.

    Tools write the newest form that they know, which the runtimes of the day refuse.
    """
    sets = list(proto.opset_import)
    needed = onnx.helper.find_min_ir_version_for(sets, ignore_unknown=True)
    proto.ir_version = min(proto.ir_version, max(needed, USUAL_IR))
    return proto


def _keep_coordinates(graph: onnx.GraphProto) -> None:
    """Say how Resize found coordinates before opset 11 gave it attributes for that.

    The converter leaves them out, which stands for another way. Nearest rounded down in upsampling and up
    in downsampling.
    """
    vectors = [t for t in graph.initializer if len(t.dims) == 1 and t.dims[0] < 10]
    scales = {t.name: onnx.numpy_helper.to_array(t) for t in vectors}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            scales[node.output[0]] = onnx.numpy_helper.to_array(node.attribute[0].t)
    for node in graph.node:
        if node.op_type == "Resize" and not node.domain:
            down = any(s < 1 for s in scales.get(node.input[2], ()))
            node.attribute.append(onnx.helper.make_attribute("coordinate_transformation_mode", "asymmetric"))
            node.attribute.append(onnx.helper.make_attribute("nearest_mode", "ceil" if down else "floor"))
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _keep_coordinates(attribute.g)


def _refuse_training(model: ir.Model) -> ir.Model:
    """Raise UnsupportedOperatorError if a BatchNormalization is in training mode.

    Asked early: removing unused nodes, onnx-ir before 1.1 removes the attribute that says so.
    """
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.op_type == "BatchNormalization" and node.attributes.get_int("training_mode", 0) == 1:
            raise UnsupportedOperatorError(
                f"operator BatchNormalization of node '{node.name}' is in training mode: "
                "export the model in evaluation mode"
            )
    return model


_PLAIN_FORM: tuple[Pass | ir.passes.PassBase, ...] = (
    common.InlinePass(),
    common.RemoveUnusedFunctionsPass(),  # type: ignore[no-untyped-call]
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
    common.RemoveInitializersFromInputsPass(),
    common.ClearMetadataAndDocStringPass(),
    common.NameFixPass(),
    # Before training mode is asked for: a normalisation of weights is a constant.
    fold_constants,
    forget_invented,  # an exporter inferred shapes before constants were known
    _refuse_training,
    common.RemoveUnusedNodesPass(),
    write_out_classical,
    expand_functions,
    unroll,
    # Now, so that none of them removes the value that the manifest names once it is written.
    eliminate_identities,
    common.CommonSubexpressionEliminationPass(),
    common.RemoveUnusedNodesPass(),
)


def prepare(proto: onnx.ModelProto) -> ir.Model:
    """The model in memory: functions inlined, constants as initializers, comments and copies gone."""
    _refuse_too_many_nodes(proto)
    _forget_comments(proto.graph)
    try:
        model = applied(ir.from_proto(proto), _PLAIN_FORM)
    except (FluxpathError, MemoryError):
        raise
    except Exception as error:  # onnx-ir raises several types of its own on what it does not know
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        raise ModelError(
            f"the model cannot be read ({first_line(cause)[:200]}): check that ONNX Runtime runs it, and if "
            "it does, please report it"
        ) from error
    for node in ir.traversal.RecursiveGraphIterator(model.graph):
        if node.domain:
            raise unsupported(node, model.opset_imports.get(node.domain, 0), "is not of the ONNX standard")
    return model


def _refuse_too_many_nodes(proto: onnx.ModelProto) -> None:
    """ModelError where functions that call each other hold more nodes than memory."""
    functions = {(f.domain, f.name): f for f in proto.functions}
    known: dict[tuple[str, str], int] = {}

    def count(nodes: Iterable[onnx.NodeProto], calling: tuple[tuple[str, str], ...]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in calling:
                raise ModelError(f"the model's function '{node.op_type}' calls itself: write it as a Loop")
            if key in functions and key not in known:
                known[key] = count(functions[key].node, (*calling, key))
            total += known.get(key, 1)
        return total

    nodes = count(proto.graph.node, ())
    if nodes > MOST_NODES:
        raise ModelError(
            f"the model has {nodes} nodes once its functions are written out, and it can have at most "
            f"{MOST_NODES}: export a smaller one"
        )


def _forget_comments(graph: onnx.GraphProto) -> None:
    """Remove comments from values and tensors too: they may hold paths on the author's machine."""
    for item in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]
