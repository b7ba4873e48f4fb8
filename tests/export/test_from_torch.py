"""gradient_from_torch to ONNX: against torch.autograd in float64, and what it leaves behind."""

from __future__ import annotations

import copy
import inspect
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import torch_modules as modules  # noqa: E402
from torch import nn  # noqa: E402

from fluxpath.export import (  # noqa: E402
    gradient_from_onnx,
    gradient_from_torch,
)
from fluxpath.export.verification.running import evaluator  # noqa: E402

IMAGE = torch.zeros(1, 3, modules.SIDE, modules.SIDE)
ROW = torch.zeros(1, 6)


def run(path: Path, x: np.ndarray, target: np.ndarray, **further: np.ndarray) -> dict[str, np.ndarray]:
    proto = onnx.load(path)
    name = next(v.name for v in proto.graph.input if v.name not in ("target", *further))
    return evaluator(proto)({name: x, "target": target.astype(np.int64), **further})


def whole(out: dict[str, np.ndarray]) -> np.ndarray:
    scale = out["scale"].astype(np.float64)
    return out["gradient"] * scale.reshape(-1, *[1] * (out["gradient"].ndim - 1))


@pytest.mark.parametrize("build", [modules.resnet, modules.ViT])
def test_gradient_at_any_batch_size(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    module = modules.made(build)
    # A sharper head, so that predictions are saturated: 1 - p is lost in float32, and its exact form is not.
    with torch.no_grad():
        next(p for p in reversed(list(module.parameters())) if p.ndim == 2).mul_(12)
    done = gradient_from_torch(module, IMAGE, tmp_path / "g.onnx", mean=[0.5] * 3, std=[0.25] * 3)
    assert done.notes == ()
    assert done.manifest.error == done.verification.error < 1e-5
    assert done.manifest.shape == (3, modules.SIDE, modules.SIDE)
    assert done.manifest.outputs == ("logits", "score", "label", "gradient", "scale")
    smallest = 1.0
    for n in (1, 2, 7):
        x = np.random.default_rng(n).random((n, *done.manifest.shape), dtype=np.float32)
        target = np.arange(n) % modules.CLASSES - 1
        score, true = modules.float64_gradient(module, x, target, 0.5, 0.25)
        out = run(tmp_path / "g.onnx", x, target)
        assert modules.relative(whole(out), true) < 2e-5
        np.testing.assert_allclose(out["score"], score, rtol=2e-5)
        smallest = min(smallest, float(out["scale"].min()))
    assert smallest < 1e-6


def test_the_module_is_left_as_it_was(older_only: None, tmp_path: Path) -> None:
    module = modules.made(modules.resnet)
    module.train()
    module[4].eval()
    module[0].weight.requires_grad_(False)
    before = copy.deepcopy(module.state_dict())
    modes = [part.training for part in module.modules()]
    gradient_from_torch(module, IMAGE, tmp_path / "g.onnx")
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())
    assert [p.requires_grad for p in module.parameters()] == [False] + [True] * (
        len(list(module.parameters())) - 1
    )
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("name", ["g.onnx", "g.pt"])
def test_where_gradients_are_switched_off(
    mode: Callable[[], Any], name: str, older_only: None, tmp_path: Path
) -> None:
    module = modules.made(modules.tiny)
    with mode():
        done = gradient_from_torch(module, torch.zeros(1, 6), tmp_path / name)
        assert not torch.is_grad_enabled()
    assert done.notes == () and done.verification.error < 1e-5


class Output(OrderedDict):  # type: ignore[type-arg]
    """As transformers' ModelOutput: a mapping whose entries are attributes too."""


@pytest.mark.parametrize(
    ("form", "output"),
    [
        (lambda z, other: (z, other), None),
        (lambda z, other: [other, z], "1"),
        (lambda z, other: {"hidden": other, "logits": z}, None),
        (lambda z, other: {"hidden": other, "scores": z}, "scores"),
        (lambda z, other: {"scores": z}, None),
        (lambda z, other: Output(hidden=other, logits=z), None),
        (lambda z, other: z.softmax(-1), None),
        (lambda z, other: torch.log_softmax(z, 1), None),
        (lambda z, other: nn.functional.softmax(z, dim=-1), None),
    ],
)
def test_logits_are_found_in_what_a_module_returns(
    form: Callable[[Any, Any], Any], output: str | None, older_only: None, tmp_path: Path
) -> None:
    module = modules.Returning(form)
    gradient_from_torch(module, ROW, tmp_path / "g.onnx", output=output)
    x = np.random.default_rng(0).random((3, 6), dtype=np.float32)
    _, true = modules.float64_gradient(module.net, x, np.array([0, 1, 2]))
    out = run(tmp_path / "g.onnx", x, np.array([0, 1, 2]))
    assert modules.relative(whole(out), true) < 1e-6


@pytest.mark.parametrize("closing", [nn.Identity(), nn.Sigmoid(), nn.Flatten(0)])
@pytest.mark.parametrize("objective", ["softmax", "sigmoid", "margin", "logit"])
def test_one_logit_stands_for_two_classes(
    closing: nn.Module, objective: str, older_only: None, tmp_path: Path
) -> None:
    module = nn.Sequential(modules.made(lambda: modules.tiny(1)), closing)
    done = gradient_from_torch(module, ROW, tmp_path / "g.onnx", objective=objective)
    assert done.manifest.classes == (1 if objective == "logit" else 2)
    assert done.verification.error < 1e-5


def test_further_inputs(tmp_path: Path) -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = modules.made(modules.tiny)

        def forward(self, embeds: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            weight = mask.to(embeds.dtype).unsqueeze(-1)
            return self.net((embeds * weight).sum(1) / weight.sum(1))

    module = Masked()
    example = {"mask": torch.ones(1, 4, dtype=torch.int64), "embeds": torch.zeros(1, 4, 6)}
    done = gradient_from_torch(module, example, tmp_path / "g.onnx", input_range=None)
    assert done.manifest.input == "embeds"
    assert [(c.name, c.dtype, c.shape) for c in done.manifest.companions] == [("mask", "int64", (4,))]
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1], [0, 1, 0, 1]])
    x = np.random.default_rng(0).standard_normal((3, 4, 6)).astype(np.float32)
    bound = torch.from_numpy(mask)

    class Bound(nn.Module):
        def forward(self, embeds: torch.Tensor) -> torch.Tensor:
            return copy.deepcopy(module).to(embeds.dtype)(embeds, bound)

    _, true = modules.float64_gradient(Bound(), x, np.array([0, 1, 2]))
    assert modules.relative(whole(run(tmp_path / "g.onnx", x, np.arange(3), mask=mask)), true) < 1e-6
    pair = (example["embeds"], example["mask"])
    assert gradient_from_torch(module, pair, tmp_path / "h.onnx", input="embeds").manifest.input == "embeds"


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision(precision: str, tmp_path: Path) -> None:
    module = modules.made(modules.tiny)
    done = gradient_from_torch(module, ROW, tmp_path / "g.onnx", precision=precision)
    assert 1e-5 < done.verification.error < 0.1
    assert done.manifest.precision == precision


@pytest.mark.parametrize("name", ["g.onnx", "g.pt"])
def test_the_file_carries_nothing_of_this_machine(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    gradient_from_torch(modules.made(modules.tiny), ROW, path)
    data = path.read_bytes()
    repository = Path(__file__).resolve().parents[2]
    wanted = [
        str(repository),
        str(Path.home()),
        sys.prefix,
        "site-packages",
        'File "',
        "stack_trace",
        __name__,
    ]
    assert [text for text in wanted if text.encode() in data] == []
    assert os.uname().nodename.encode() not in data


def test_settings_are_those_of_gradient_from_onnx() -> None:
    def settings(function: Callable[..., Any]) -> dict[str, object]:
        parameters = inspect.signature(function).parameters.values()
        return {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY and p.name != "progress"}

    assert settings(gradient_from_torch) == settings(gradient_from_onnx)


def test_export_without_torch() -> None:
    program = """
import sys
sys.modules["torch"] = None
import fluxpath.export, fluxpath.runtime
try:
    fluxpath.export.gradient_from_torch(None, None, "g.onnx")
except fluxpath.ModelError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'exporting a torch module needs torch: pip install "fluxpath[torch]"'
