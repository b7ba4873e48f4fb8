"""Expands operators that have no derivative rule but which the standard defines by simpler operators."""

from __future__ import annotations

from typing import Any

import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common

from fluxpath.export import rules
from fluxpath.export.reading.inference import infer_shapes

_DOMAIN = "fluxpath.expanded"


def expand_functions(model: ir.Model) -> ir.Model:
    """Replace such operators, where they may be on a way from an input, by their bodies in the standard.

    A body may depend on its operands' types and ranks, so these are inferred first, and it may use further
    such operators. Operators without a usable body are left for the autodiff to name.
    """
    opset = int(model.opset_imports.get("", 0))
    while _waiting(model.graph, opset):
        model = infer_shapes(model)
        if not sum(_expand(model, node, i, opset) for i, node in enumerate(_waiting(model.graph, opset))):
            return model
        model = common.InlinePass()(model).model
        model.opset_imports.pop(_DOMAIN, None)
        lift = common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)
        model = common.NameFixPass()(lift(model).model).model
    return model


def _waiting(graph: ir.Graph, opset: int) -> list[ir.Node]:
    """Operators that depend on an input, have a body in the standard and no rule here."""
    reached: set[ir.Value] = set(graph.inputs)
    supported = set(rules.supported_operators())
    found = []
    for node in graph:
        if node.domain or rules.is_cut(node) or not any(v in reached for v in node.inputs):
            continue
        reached.update(node.outputs)
        if node.op_type not in supported and _schema(node, opset) is not None:
            found.append(node)
    return found


def _schema(node: ir.Node, opset: int) -> Any:
    """The operator's schema (onnx's type stubs lack what is used of it), if that has a body; else None."""
    try:
        schema: Any = onnx.defs.get_schema(node.op_type, opset, node.domain)
    except onnx.defs.SchemaError:
        return None
    return schema if schema.has_function or schema.has_context_dependent_function else None


def _expand(model: ir.Model, node: ir.Node, index: int, opset: int) -> bool:
    """Make `node` a call of a function with its body; False if there is none to use."""
    proto = _body(node, opset)
    if proto is None or any(a.HasField("g") for inner in proto.node for a in inner.attribute):
        return False
    proto.domain, proto.name = _DOMAIN, f"{node.op_type}_{index}"
    del proto.output[len(node.outputs) :]
    del proto.opset_import[:]
    proto.opset_import.append(onnx.helper.make_opsetid("", opset))
    function = ir.serde.deserialize_function(proto)
    _guard_masked_rows(function)
    for inner, outer in zip(function.outputs, node.outputs, strict=True):
        inner.type, inner.shape = outer.type, outer.shape
    model.functions[function.identifier()] = function
    model.opset_imports[_DOMAIN] = 1
    node.domain, node.op_type = _DOMAIN, proto.name
    return True


def _guard_masked_rows(function: ir.Function) -> None:
    """Give Softmax zeros for those rows of its result that a Where throws away.

    The body of Attention makes NaN of rows that are masked as a whole and replaces it afterwards, but it
    would come back in the gradient, as NaN times zero.
    """
    for node in list(function):
        source = node.inputs[2].producer() if node.op_type == "Where" and node.inputs[2] is not None else None
        while source is not None and source.op_type in ("Cast", "CastLike", "Identity"):
            source = source.inputs[0].producer() if source.inputs[0] is not None else None
        if source is None or source.op_type != "Softmax":
            continue
        zero = ir.Node("", "CastLike", [node.inputs[1], source.inputs[0]])
        kept = ir.Node("", "Where", [node.inputs[0], zero.outputs[0], source.inputs[0]])
        like = node.inputs[1].producer() if node.inputs[1] is not None else None
        if like is not None and like.op_type == "CastLike":
            # The type of that zero is taken from the result, which comes later.
            zero.replace_input_with(0, like.inputs[0])
        for made, name in ((zero, "MaskedZero"), (kept, "UnmaskedRows")):
            made.outputs[0].name = name
            function.append(made)
        source.replace_input_with(0, kept.outputs[0])
    function.sort()


def _body(node: ir.Node, opset: int) -> onnx.FunctionProto | None:
    """The definition of `node` for its operands' types, by the newest operators up to `opset`."""
    schema = _schema(node, opset)
    if schema is None:
        return None
    if not schema.has_context_dependent_function:
        version = _newest(schema.function_opset_versions, opset)
        return None if version is None else _parsed(schema.get_function_with_opset_version(version))
    version = _newest(schema.context_dependent_function_opset_versions, opset)
    types = [_type(v) for v in node.inputs]
    if version is None or None in types:
        return None
    whole = ir.to_proto(node)
    # An output without a name is left out of a body that names it as its own.
    whole.output[:] = [name or f"unused_{i}" for i, name in enumerate(whole.output)]
    call = whole.SerializeToString()
    given = [t.SerializeToString() for t in types if t is not None]
    return _parsed(schema.get_context_dependent_function_with_opset_version(version, call, given))


def _newest(versions: list[int], opset: int) -> int | None:
    return max((v for v in versions if v <= opset), default=None)


def _parsed(data: bytes | None) -> onnx.FunctionProto | None:
    return onnx.FunctionProto.FromString(data) if data else None


def _type(value: ir.Value | None) -> onnx.TypeProto | None:
    """The type of an operand, an empty one where it is absent; None where its rank is not known."""
    if value is None:
        return onnx.TypeProto()
    if value.dtype is None or value.shape is None:
        return None
    sizes = [d if isinstance(d, int) else None for d in value.shape]
    return onnx.helper.make_tensor_type_proto(int(value.dtype), sizes)
