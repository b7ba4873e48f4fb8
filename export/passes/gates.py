"""Differentiates x sigmoid(x) as the one function that it is, Swish, and writes it and HardSwish out.

A product and a gate apart have six operators over the whole tensor in their gradients, the function has four,
none with a constant, so that all of them keep the blocked layout of ONNX Runtime's convolutions. The operator
Swish is of a later opset than most models: it is there while the graph is differentiated, and written out
afterwards. HardSwish is written out too: ONNX Runtime does so itself, but `keep_blocked` has to see what is
run. Multipliers are not derivatives: DeepLIFT's rule for products stays as it is.
"""

from __future__ import annotations

import onnx_ir as ir

from fluxpath.export.rules.activation import HARD


def join_gates(model: ir.Model) -> ir.Model:
    """Make every Mul of a value with its own Sigmoid a Swish, in place."""
    for node in model.graph:
        x = _gated(node)
        if x is not None:
            node.op_type = "Swish"
            node.replace_input_with(0, x)
            node.resize_inputs(1)
    return model


def write_gates(model: ir.Model) -> ir.Model:
    """Make every such Swish a Mul with a Sigmoid again, and a float32 HardSwish one with a HardSigmoid.

    In place; the backward pass's own gates are the same.
    """
    for number, node in enumerate([n for n in model.graph if _is_gate(n)]):
        x = node.inputs[0]
        made, slope = ("Sigmoid", {}) if node.op_type == "Swish" else ("HardSigmoid", HARD)
        attributes = ir.convenience.convert_attributes(slope)
        gate = ir.Node("", made, [x], attributes, name=f"fluxpath/gate_{number}")
        value = gate.outputs[0]
        value.name = gate.name
        if x is not None:
            value.type, value.shape = x.type, x.shape
        model.graph.insert_before(node, gate)
        node.op_type = "Mul"
        node.resize_inputs(2)
        node.replace_input_with(1, value)
    return model


def _is_gate(node: ir.Node) -> bool:
    if node.domain or not node.inputs or node.inputs[0] is None:
        return False
    if node.op_type == "Swish":
        return not node.attributes
    return node.op_type == "HardSwish" and node.inputs[0].dtype == ir.DataType.FLOAT


def _gated(node: ir.Node) -> ir.Value | None:
    """The x of x sigmoid(x), which has one shape and so no broadcasting; None for any other node."""
    if node.op_type != "Mul" or node.domain:
        return None
    for gate, x in (tuple(node.inputs), tuple(node.inputs)[::-1]):
        made = gate.producer() if gate is not None else None
        if made is not None and made.op_type == "Sigmoid" and not made.domain and made.inputs[0] is x:
            return x
    return None
