"""Batch normalisations as parts of the convolutions before them, as an exported graph has them."""

from __future__ import annotations

import copy
from collections import Counter

from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

PAIRS = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d, nn.Conv3d: nn.BatchNorm3d}


def folded(model: nn.Module) -> nn.Module:
    """A copy in evaluation mode whose batch normalisations behind convolutions are folded into them.

    Where torch.fx does not see through a module (it returns an object, or asks what its values are), it is
    asked about each of the module's parts. Of the copy only the pairs are replaced; it runs as `model` does.
    """
    copied: nn.Module = copy.deepcopy(model).eval()
    names = Counter(id(module) for _, module in copied.named_modules(remove_duplicate=False))
    _fold(copied, {key for key, count in names.items() if count == 1})
    return copied


def left_in(model: nn.Module) -> int:
    """How many batch normalisations it has."""
    return sum(isinstance(module, _BatchNorm) for module in model.modules())


def _fold(module: nn.Module, own: set[int]) -> None:
    """Fold in place. own: by id, the modules that have one name in the whole, so no other part has them."""
    try:
        nodes = fx.Tracer().trace(module).nodes
    except Exception:  # whatever tracing does not see through
        for part in module.children():
            _fold(part, own)
        return
    calls = Counter(node.target for node in nodes if node.op == "call_module")
    for node in nodes:
        before = node.args[0] if node.op == "call_module" and node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        conv, norm = (module.get_submodule(str(one.target)) for one in (before, node))
        once = calls[node.target] == calls[before.target] == 1 and {id(conv), id(norm)} <= own
        if once and PAIRS.get(type(conv)) is type(norm) and norm.track_running_stats and _plain(conv, norm):
            fused = fuse_conv_bn_eval(conv, norm)
            conv.weight, conv.bias = fused.weight, fused.bias
            place, _, name = str(node.target).rpartition(".")
            setattr(module.get_submodule(place), name, nn.Identity())


def _plain(*modules: nn.Module) -> bool:
    """Whether they do what their class does: hooks may compute weights."""
    return not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
