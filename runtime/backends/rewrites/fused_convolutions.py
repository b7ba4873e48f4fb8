"""Joins convolutions with the sum and the ReLU after them, in a TorchScript gradient graph on CUDA.

By itself torch adds a convolution's bias, a residual and the ReLU in a kernel each, which read and write the
whole activation every time: a third of an evaluation of ResNet-50 in half precision. cuDNN does them within
the convolution, where the values still are in registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_CONVOLUTION = "aten::convolution"
_SUMS = ("aten::add", "aten::add_")
_RELUS = ("aten::relu", "aten::relu_")


def fuse(graph: Any, usual: bool = False) -> int:
    """Join what can be joined in `graph`, before its first run; return the number of convolutions.

    A residual must have the convolution's own shape, which the graph does not tell: try the result once.
    usual: leave out those with groups, or with numbers of channels for which cuDNN may have no kernel.
    """
    nodes = list(graph.nodes())
    aliases = graph.alias_db()  # describes the unchanged graph, so all searches come before all changes
    found = [_join(node, nodes, aliases) for node in nodes if node.kind() in _RELUS]
    joined = [join for join in found if join is not None and not (usual and _unusual(join[1]))]
    for join in joined:
        _replace(graph, *join)
    return len(joined)


_Join = tuple[Any, Any, Any, int]
"""A ReLU, the convolution before it, the sum in between (or None), and which of its terms is the residual."""


def _join(relu: Any, nodes: Sequence[Any], aliases: Any) -> _Join | None:
    value = next(relu.inputs())
    total, residual = value.node(), None
    if total.kind() in _SUMS and _only_use(value):
        terms = list(total.inputs())
        if [_constant(alpha) for alpha in terms[2:]] != [1]:
            return None
        # In place, the sum is written into its first term: that must be the convolution's own memory.
        places = (0,) if total.kind().endswith("_") else (0, 1)
        place = next((k for k in places if _fits(terms[k])), None)
        if place is None:
            return None
        value, residual = terms[place], 1 - place
    if not _fits(value):
        return None
    read = [next(value.node().inputs())] + ([] if residual is None else [list(total.inputs())[residual]])
    if _written_between(value.node(), relu, read, nodes, aliases):
        return None
    return relu, value.node(), None if residual is None else total, residual or 0


def _fits(value: Any) -> bool:
    """Whether `value` is a plain convolution of images with constant weights that nothing else reads."""
    node = value.node()
    if node.kind() != _CONVOLUTION or not _only_use(value):
        return False
    _, weight, bias, stride, _, _, transposed, *_ = node.inputs()
    known = all(v.node().kind() == "prim::Constant" for v in (weight, bias, transposed))
    lengths = stride.node().kind() == "prim::ListConstruct" and len(list(stride.node().inputs()))
    return known and weight.node().t("value").ndim == 4 and lengths == 2 and not _constant(transposed)


def _unusual(convolution: Any) -> bool:
    inputs = list(convolution.inputs())
    return _constant(inputs[8]) != 1 or any(size % 8 for size in inputs[1].node().t("value").shape[:2])


def _written_between(first: Any, last: Any, read: list[Any], nodes: Sequence[Any], aliases: Any) -> bool:
    """Whether a joined operator, which runs where the ReLU is, would find `read` written into meanwhile."""
    between = nodes[nodes.index(first) + 1 : nodes.index(last)]
    own = next(last.inputs()).node()
    writing = [n for n in between if n.kind().endswith("_") and not n.kind().endswith("__") and n is not own]
    return any(aliases.may_contain_alias(next(n.inputs()), value) for n in writing for value in read)


def _replace(graph: Any, relu: Any, convolution: Any, total: Any, residual: int) -> None:
    image, weight, bias, stride, padding, dilation, _, _, groups = convolution.inputs()
    geometry = [bias, stride, padding, dilation, groups]
    graph.setInsertPoint(relu)
    if total is None:
        made = graph.create("aten::cudnn_convolution_relu", [image, weight, *geometry], 1)
    else:
        given = [image, weight, list(total.inputs())[residual], graph.insertConstant(1.0), *geometry]
        made = graph.create("aten::cudnn_convolution_add_relu", given, 1)
    made.insertBefore(relu)
    made.output().setType(relu.output().type())
    relu.output().replaceAllUsesWith(made.output())
    for node in (relu, total, convolution):
        if node is not None:
            node.destroy()


def _only_use(value: Any) -> bool:
    return len(value.uses()) == 1


def _constant(value: Any) -> Any:
    """The number that a constant holds; None for anything else."""
    node = value.node()
    return value.toIValue() if node.kind() == "prim::Constant" else None
