"""Differentiates x sigmoid(x) as the one function that it is, Swish.

A product and a gate apart have six operators over the whole tensor in their gradients, the function has four,
none with a constant, so that all of them keep the blocked layout of ONNX Runtime's convolutions. The operator
Swish is of a later opset than most models: it is there while the graph is differentiated, and written out
afterwards. Multipliers are not derivatives: DeepLIFT's rule for products stays as it is.
"""

from __future__ import annotations

import onnx_ir as ir


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
    """Make every such Swish a Mul with a Sigmoid again, in place; the backward pass's own is the same."""
    for number, node in enumerate([n for n in model.graph if n.op_type == "Swish" and not n.attributes]):
        x = node.inputs[0]
        gate = ir.Node("", "Sigmoid", [x], name=f"fluxpath/gate_{number}")
        value = gate.outputs[0]
        value.name = gate.name
        if x is not None:
            value.type, value.shape = x.type, x.shape
        model.graph.insert_before(node, gate)
        node.op_type = "Mul"
        node.resize_inputs(2)
        node.replace_input_with(1, value)
    return model


def _gated(node: ir.Node) -> ir.Value | None:
    """The x of x sigmoid(x), which has one shape and so no broadcasting; None for any other node."""
    if node.op_type != "Mul" or node.domain:
        return None
    for gate, x in (tuple(node.inputs), tuple(node.inputs)[::-1]):
        made = gate.producer() if gate is not None else None
        if made is not None and made.op_type == "Sigmoid" and not made.domain and made.inputs[0] is x:
            return x
    return None
