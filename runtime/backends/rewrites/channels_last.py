"""Rewrites a TorchScript gradient graph for images in channels-last order.

The graph was traced with contiguous images, and some of torch's choices in it are right only for those: a
`view` that joins channels and positions, and kernels whose input autograd's formulas made contiguous, which
left no trace. So every operator that is not known to respect strides is given contiguous memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fluxpath.errors import InputError
from fluxpath.manifest import Manifest

RANKS = (4, 5)
"""The ranks of a batch of images, in two dimensions or three."""

_ANY_LAYOUT = {
    "convolution", "convolution_backward", "constant_pad_nd", "cat", "stack", "copy", "clone", "_to_copy",
    "max_pool2d_with_indices", "max_pool2d_with_indices_backward", "avg_pool2d", "avg_pool2d_backward",
    "_adaptive_avg_pool2d", "_adaptive_avg_pool2d_backward", "hardtanh_backward", "hardswish_backward",
    "mean", "sum", "amax", "amin", "argmax", "logsumexp", "mm", "bmm", "addmm", "baddbmm", "reshape",
    "contiguous", "slice_backward", "select_backward", "zeros_like", "ones_like", "new_zeros", "new_ones",
    "new_empty", "new_empty_strided", "size", "sym_size", "numel", "sym_numel",
}  # fmt: skip
"""Operators that are right for any strides, besides views and elementwise operators."""

_FRESH = {
    f"aten::{name}"
    for name in ("zeros", "ones", "new_zeros", "new_ones", "new_empty", "new_empty_strided", "empty_strided")
}
"""Operators that make new memory in the traced layout, whatever the layout of the images."""


def require_images(manifest: Manifest, path: object) -> None:
    """Raise InputError unless the explained input is an image."""
    if len(manifest.shape) + 1 not in RANKS:
        raise InputError(
            f"channels_last is for images, [channels, height, width], and the input of '{path}' has shape "
            f"{manifest.shape}: leave it out"
        )


def rewrite(torch: Any, graph: Any, rank: int, path: object) -> Any:
    """Make the loaded `graph` right for channels-last images of this rank; return their torch memory format.

    Call it before the module's first run. Raises InputError where the graph cannot be rewritten.
    """
    order = torch.channels_last if rank == 4 else torch.channels_last_3d
    nodes = list(graph.nodes())
    _convert_weights(nodes, order, rank)
    aliases = graph.alias_db()  # describes the unchanged graph, so all searches come before all changes
    views = [node for node in nodes if _is_view(node)]
    strict = [node for node in nodes if not _respects_strides(torch, node)]
    if any(_shared(aliases, nodes, place) for place, node in enumerate(nodes) if _is_view(node)):
        raise InputError(_complaint(path, "a view that is written into"))
    for node in strict:
        _refuse_addresses(node, path)
        _give_contiguous(graph, node)
    for node in views:
        _replace(graph, node, "aten::reshape", list(node.inputs()))
    return order


def _is_view(node: Any) -> bool:
    """Whether `node` is a view to other sizes (not to another type) of memory whose layout can change."""
    if node.kind() not in ("aten::view", "aten::_unsafe_view") or _maker(next(node.inputs())) in _FRESH:
        return False
    sizes: bool = list(node.inputs())[1].type().kind() == "ListType"
    return sizes


def _maker(value: Any) -> str:
    """The kind of the operator that made the memory of `value`, seen through writes in place."""
    source = value.node()
    while _writes(source):
        source = next(source.inputs()).node()
    kind: str = source.kind()
    return kind


def _shared(aliases: Any, nodes: Sequence[Any], place: int) -> bool:
    """Whether replacing the view at `place` by a copy would hide a later write from a reader."""
    result, later = nodes[place].output(), nodes[place + 1 :]
    if not any(_writes(n) and aliases.may_contain_alias(next(n.inputs()), result) for n in later):
        return False
    own = {value.debugName() for n in nodes[place:] for value in n.outputs()}
    others = [value for n in later for value in n.inputs() if value.debugName() not in own]
    return any(aliases.may_contain_alias(value, result) for value in others)


def _writes(node: Any) -> bool:
    kind: str = node.kind()
    return kind.startswith("aten::") and kind.endswith("_") and not kind.endswith("__")


def _refuse_addresses(node: Any, path: object) -> None:
    """Raise InputError for an operator that depends on addresses, unless the memory is a new tensor's."""
    kind, source = node.kind(), _maker(next(node.inputs()))
    # Adaptive pooling to a single position sets the strides of its input there, which have no effect.
    if source in _FRESH or (kind, source) == ("aten::as_strided_", "aten::mean"):
        return
    if _writes(node) or kind == "aten::as_strided":
        raise InputError(_complaint(path, kind))


def _complaint(path: object, what: str) -> str:
    return (
        f"channels_last does not fit '{path}', which depends on how memory is laid out ({what}): leave it out"
    )


def _respects_strides(torch: Any, node: Any) -> bool:
    namespace, _, name = node.kind().partition("::")
    name = name.removesuffix("_")
    if name.startswith("as_strided"):
        return False
    packet = getattr(torch.ops.aten, name, None)
    if namespace != "aten" or packet is None or name in _ANY_LAYOUT:  # no packet: works on numbers or lists
        return True
    overloads = [getattr(packet, overload) for overload in packet.overloads()]
    return any(o.is_view or torch.Tag.pointwise in o.tags for o in overloads)


def _give_contiguous(graph: Any, node: Any) -> None:
    """Pass the node's tensors through `contiguous`, which does nothing if they already are."""
    graph.setInsertPoint(node)
    for index, value in enumerate(list(node.inputs())):
        if value.type().kind() == "TensorType" and _maker(value) not in _FRESH:
            plain = graph.insertConstant(0)  # torch.contiguous_format
            node.replaceInput(index, _insert(graph, node, "aten::contiguous", [value, plain]).output())


def _replace(graph: Any, node: Any, kind: str, inputs: Sequence[Any]) -> None:
    made = _insert(graph, node, kind, inputs)
    made.output().setType(node.output().type())
    node.output().replaceAllUsesWith(made.output())
    node.destroy()


def _insert(graph: Any, before: Any, kind: str, inputs: Sequence[Any]) -> Any:
    made = graph.create(kind, list(inputs), 1)
    made.insertBefore(before)
    return made


def _convert_weights(nodes: Sequence[Any], order: Any, rank: int) -> None:
    """Reorder constant convolution weights once; otherwise cuDNN and oneDNN do it in each run."""
    for node in nodes:
        where = {"aten::convolution": 1, "aten::convolution_backward": 2}.get(node.kind())
        if where is None:
            continue
        constant = list(node.inputs())[where].node()
        if constant.kind() == "prim::Constant" and constant.t("value").ndim == rank:
            constant.t_("value", constant.t("value").contiguous(memory_format=order))
