"""Takes batch normalisation out of a traced gradient: into the convolution before it, else into products."""

from __future__ import annotations

import operator

import torch

_FORWARD = torch.ops.aten._native_batch_norm_legit_no_training.default
_BACKWARD = torch.ops.aten.native_batch_norm_backward.default
_CONVOLUTION = torch.ops.aten.convolution.default
_CONVOLUTION_BACKWARD = torch.ops.aten.convolution_backward.default
_TRANSPOSED = 6
"""The place of the flag among a convolution's arguments."""


def fold_batchnorm(module: torch.fx.GraphModule) -> None:
    """Replace every batch normalisation in inference form, with its backward pass, in place.

    y = (x - mean) / sqrt(var + eps) * gamma + beta is s x + t for each channel, and its gradient s g. After a
    convolution s goes into the weight, of the forward and of the backward pass, and t into the bias.
    """
    for node in [n for n in module.graph.nodes if n.target is _FORWARD]:
        parameters = [_constant(module, n) for n in node.args[1:5]]
        if any(p is None for p in parameters):
            continue  # without gamma and beta: it stays
        gamma, beta, mean, variance = (p.double() for p in parameters if p is not None)
        scale = gamma / torch.sqrt(variance + node.args[6])
        shift = beta - mean * scale
        backward = [n for n in node.args[0].users if n.target is _BACKWARD and n.args[2] is not None]
        backward = [n for n in backward if n.args[2].target == node.args[1].target]
        if not _fold(module, node, backward, scale, shift):
            _write_out(module, node, backward, scale, shift)
    module.graph.eliminate_dead_code()


def _fold(
    module: torch.fx.GraphModule,
    node: torch.fx.Node,
    backward: list[torch.fx.Node],
    scale: torch.Tensor,
    shift: torch.Tensor,
) -> bool:
    """Into the convolution that feeds nothing else; False if there is none."""
    convolution = node.args[0]
    if convolution.target is not _CONVOLUTION or convolution.args[_TRANSPOSED]:
        return False
    weight, bias = _constant(module, convolution.args[1]), _constant(module, convolution.args[2])
    if weight is None or (bias is None and convolution.args[2] is not None):
        return False
    readers = [_only_user(_first(n)) for n in backward]
    if set(convolution.users) != {node, *backward} or not all(
        n is not None
        and n.target is _CONVOLUTION_BACKWARD
        and n.args[2].target == convolution.args[1].target
        and not n.args[-1][2]
        for n in readers
    ):
        return False
    scaled = weight.double() * scale.reshape(-1, *[1] * (weight.ndim - 1))
    moved = shift if bias is None else bias.double() * scale + shift
    for place, value in ((1, scaled), (2, moved)):
        convolution.update_arg(place, _attribute(module, convolution, value.to(weight.dtype)))
    for normalised, reader in zip(backward, readers, strict=True):
        assert reader is not None
        reader.update_arg(0, normalised.args[0])
        reader.update_arg(2, convolution.args[1])
    _replace_first(node, convolution)
    return True


def _write_out(
    module: torch.fx.GraphModule,
    node: torch.fx.Node,
    backward: list[torch.fx.Node],
    scale: torch.Tensor,
    shift: torch.Tensor,
) -> None:
    x, graph = node.args[0], module.graph
    value = x.meta["val"]
    columns = (-1, *[1] * (value.ndim - 2))
    factor, offset = (_attribute(module, node, v.to(value.dtype).reshape(columns)) for v in (scale, shift))
    with graph.inserting_before(node):
        product = graph.call_function(torch.ops.aten.mul.Tensor, (x, factor))
        total = graph.call_function(torch.ops.aten.add.Tensor, (product, offset))
    for normalised in backward:
        with graph.inserting_before(normalised):
            gradient = graph.call_function(torch.ops.aten.mul.Tensor, (normalised.args[0], factor))
        _replace_first(normalised, gradient)
    _replace_first(node, total)


def _constant(module: torch.fx.GraphModule, node: torch.fx.Node | None) -> torch.Tensor | None:
    """The parameter or buffer that `node` reads."""
    if node is None or node.op != "get_attr":
        return None
    value = getattr(module, node.target)
    return value.detach() if isinstance(value, torch.Tensor) else None


def _attribute(module: torch.fx.GraphModule, before: torch.fx.Node, value: torch.Tensor) -> torch.fx.Node:
    """A new constant of the graph, read ahead of `before`."""
    name = f"_folded{sum(1 for n in module._buffers if n.startswith('_folded'))}"
    module.register_buffer(name, value.contiguous())
    with module.graph.inserting_before(before):
        return module.graph.get_attr(name)


def _first(node: torch.fx.Node) -> torch.fx.Node | None:
    """What takes the first of the node's results, which is the normalised value or its gradient."""
    return next((n for n in node.users if n.target is operator.getitem and n.args[1] == 0), None)


def _only_user(node: torch.fx.Node | None) -> torch.fx.Node | None:
    return next(iter(node.users)) if node is not None and len(node.users) == 1 else None


def _replace_first(node: torch.fx.Node, value: torch.fx.Node) -> None:
    first = _first(node)
    if first is not None:
        first.replace_all_uses_with(value)
