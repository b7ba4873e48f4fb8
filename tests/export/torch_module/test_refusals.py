"""Torch modules without a derivative, or with more than one way through: one sentence, and no file left."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import torch_modules as modules  # noqa: E402
from torch import nn  # noqa: E402

from fluxpath.errors import ModelError  # noqa: E402
from fluxpath.export import gradient_from_torch  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning"),
    # torch.cond's own, when autograd goes through it.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
]

ROW = torch.zeros(1, 6)


def branching(net: Any, x: Any) -> Any:
    return net(x) if x.sum() > 0 else -net(x)


def with_cond(net: Any, x: Any) -> Any:
    return torch.cond(x.sum() > 0, torch.tanh, torch.neg, (net(x),))


NOTHING = "the module's logits do not depend on the input through differentiable operations"
BRANCHES = "the module's code branches on the values that it computes"
WAYS: dict[str, tuple[Callable[[Any, Any], Any], str, str]] = {
    "argmax": (
        lambda net, x: nn.functional.one_hot(net(x).argmax(1), 5).float(),
        r"the way ends at operator ArgMax \(opset 20\) of node '\w+'",
        NOTHING,
    ),
    "comparison": (
        lambda net, x: (net(x) > 0).float(),
        r"the way ends at operator Greater \(opset 20\) of node '\w+'",
        NOTHING,
    ),
    "rounding": (
        lambda net, x: net(x).round(),
        r"the way ends at operator Round \(opset 20\) of node '\w+'",
        "the derivative of the module's logits is zero at all of 4 inputs",
    ),
    "independent": (
        lambda net, x: net(torch.ones_like(x)), "'logits' does not depend on input 'x': ", NOTHING
    ),
    "branch": (branching, BRANCHES, BRANCHES),
    "cond": (
        with_cond,
        r"operator If \(opset 20\) of node '\w+' has no derivative rule",
        "operator cond of node 'cond' is control flow",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ["g.onnx", "g.pt"])
@pytest.mark.parametrize("way", WAYS)
def test_it_is_refused(way: str, name: str, tmp_path: Path) -> None:
    function, *messages = WAYS[way]
    with pytest.raises(ModelError, match=messages[name == "g.pt"]) as caught:
        gradient_from_torch(modules.Through(function), ROW, tmp_path / name)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["g.onnx", "g.pt"])
def test_a_quantised_module_is_refused(name: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.ao.quantization.quantize_dynamic(modules.tiny(), {nn.Linear})
    with pytest.raises(ModelError, match="the part '0' of the module, of type Linear, is quantised"):
        gradient_from_torch(module, ROW, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
