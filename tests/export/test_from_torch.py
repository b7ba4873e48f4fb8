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

from fluxpath.errors import ModelError, UnsupportedOperatorError, VerificationError  # noqa: E402
from fluxpath.export import (  # noqa: E402
    _torch_onnx,
    _torch_reference,
    gradient_from_onnx,
    gradient_from_torch,
    supported_operators,
)
from fluxpath.export._torch_objectives import TORCH_OBJECTIVES, choose  # noqa: E402
from fluxpath.export.objectives import OBJECTIVES  # noqa: E402
from fluxpath.export.rules import _registry  # noqa: E402
from fluxpath.export.verification import evaluator  # noqa: E402

IMAGE = torch.zeros(1, 3, modules.SIDE, modules.SIDE)
ROW = torch.zeros(1, 6)


@pytest.fixture
def older_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The older exporter alone, which takes a tenth of a second where the newer takes several."""
    monkeypatch.setattr(_torch_onnx, "attempts", lambda module: [_torch_onnx.Attempt(False, False)])


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


class Returning(nn.Module):
    """`tiny`, its logits wrapped by `form` beside something else."""

    def __init__(self, form: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.net = modules.made(modules.tiny)
        self.form = form

    def forward(self, x: torch.Tensor) -> Any:
        return self.form(self.net(x), x * 2)


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
    module = Returning(form)
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


# What can go wrong.


def test_the_older_exporter_takes_over_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(subject: object, opset: int) -> None:
        raise RuntimeError("no such operator\nand more")

    monkeypatch.setattr(_torch_onnx, "_newer", fails)
    stages: list[str] = []
    done = gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "g.onnx", progress=stages.append)
    assert done.notes == (
        "exported with the older TorchScript exporter, because before that no such operator",
    )
    assert done.verification.error < 1e-5
    assert [s for s in stages if "export" in s] == [
        "exporting with torch.export",
        "exporting with the older TorchScript exporter",
    ]


def test_attention_is_written_out_where_fused_attention_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Config:
        _attn_implementation = "sdpa"

    module = modules.made(modules.tiny)
    module.config, module[0].fused_attn = Config(), True

    def fails_on_fused(subject: object, opset: int) -> onnx.ModelProto:
        if module.config._attn_implementation != "eager" or module[0].fused_attn:
            raise RuntimeError("no fused attention")
        return _torch_onnx._older(subject, opset)

    monkeypatch.setattr(_torch_onnx, "_newer", fails_on_fused)
    done = gradient_from_torch(module, ROW, tmp_path / "g.onnx")
    assert done.notes == (
        "exported with torch.export with attention written out, because before that no fused attention",
    )
    assert module.config._attn_implementation == "sdpa" and module[0].fused_attn is True


def test_where_no_exporter_works_there_is_one_sentence_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(subject: object, attempt: object, opset: int) -> None:
        raise RuntimeError("broken\nat length")

    monkeypatch.setattr(_torch_onnx, "to_onnx", fails)
    with pytest.raises(ModelError, match=r"^torch cannot export the module to ONNX: broken$"):
        gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "g.onnx")
    assert list(tmp_path.iterdir()) == []


def test_an_operator_without_a_rule_is_named(
    older_only: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Tanh" in supported_operators()
    monkeypatch.delitem(_registry._RULES, "Tanh")
    with pytest.raises(UnsupportedOperatorError, match=r"operator Tanh .* has no derivative rule"):
        gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "g.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_rule_is_found(older_only: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(_registry._RULES, "Tanh")
    _registry.rule("Tanh")(lambda op, node, g: op("Mul", g, op.scalar(1.02, g)))
    with pytest.raises(VerificationError, match="the gradient is off by"):
        gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "g.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_module_that_float64_breaks_is_verified_by_differences(older_only: None, tmp_path: Path) -> None:
    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = modules.made(modules.tiny)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x.float())

    done = gradient_from_torch(Single(), ROW, tmp_path / "g.onnx")
    assert "verified against differences of the ONNX model" in done.notes[0]
    assert done.verification.error < 1e-5


PAIR = Returning(lambda z, other: (z, other))
CANNOT: list[tuple[Any, Any, dict[str, Any], str]] = [
    (len, ROW, {}, r"the model is a builtin_function_or_method, and it must be a torch.nn.Module"),
    (modules.tiny(), [[0.0]], {}, r"the example's 'input' is a list, and must be a tensor"),
    (
        modules.tiny(),
        ROW.double(),
        {},
        r"'input' is float64 \[1, 6\], and the input to explain must be float32",
    ),
    (
        modules.tiny(),
        ROW.half(),
        {},
        r"'input' is float16 \[1, 6\], and must have one of the types float32, ",
    ),
    (modules.tiny(), torch.zeros(1, 7), {}, r"the module fails on the example: "),
    (modules.tiny(), ROW, {"input": "pixels"}, r"the example has no input 'pixels', it has \['input'\]"),
    (modules.tiny(), ROW, {"class_names": ["one"]}, r"1 class names were given, and the model has 5 classes"),
    (modules.tiny(), ROW, {"objective": "loss"}, r"there is no objective 'loss'"),
    (nn.Conv2d(3, 2, 3), IMAGE, {}, r"the module gives float32 \[2, 2, 30, 30\] for a batch of 2"),
    (
        Returning(lambda z, other: {"a": z, "b": other}),
        ROW,
        {},
        r"no tensor 'logits'.*: name the logits with",
    ),
    (PAIR, ROW, {"output": "5"}, r"the module returns no tensor '5', it returns \['0', '1'\]"),
    (Returning(lambda z, other: z.round()), ROW, {}, r"does not depend on input"),
]


@pytest.mark.parametrize(("module", "example", "settings", "message"), CANNOT)
def test_what_cannot_be_compiled(
    module: Any, example: Any, settings: dict[str, Any], message: str, older_only: None, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        gradient_from_torch(module, example, tmp_path / "g.onnx", **settings)
    assert list(tmp_path.iterdir()) == []


# What the file and the package carry.


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


# The objectives in torch.


def test_the_objectives_are_the_same() -> None:
    assert list(TORCH_OBJECTIVES) == list(OBJECTIVES)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_heads_against_their_float64_twins(name: str) -> None:
    rng = np.random.default_rng(0)
    # From undecided to so sure that 1 - p is 1e-30.
    logits = rng.standard_normal((40, 6)) * np.geomspace(0.1, 70, 40)[:, None]
    target = rng.integers(6, size=40)
    _, onehot = choose(torch.from_numpy(logits), torch.from_numpy(target))
    head = TORCH_OBJECTIVES[name].head(torch.from_numpy(logits).float(), onehot)
    single = logits.astype(np.float32).astype(np.float64)
    objective = OBJECTIVES[name]
    margin = objective.margin(single, target)
    np.testing.assert_allclose(head.score, objective.value(margin), rtol=3e-5, atol=1e-37)
    np.testing.assert_allclose(head.scale, objective.factor(margin), rtol=3e-5, atol=1e-37)
    z = torch.from_numpy(single).requires_grad_()
    value = TORCH_OBJECTIVES[name].margin(z, onehot)
    np.testing.assert_allclose(value.detach(), margin, rtol=1e-12, atol=1e-12)
    (slope,) = torch.autograd.grad(value.sum(), z)
    np.testing.assert_allclose(head.seed, slope, rtol=1e-5, atol=1e-6)


def test_ties_of_the_runner_up_go_to_the_first() -> None:
    logits = torch.tensor([[1.0, 3.0, 3.0, 0.0]])
    _, onehot = choose(logits, torch.tensor([0]))
    head = TORCH_OBJECTIVES["margin"].head(logits, onehot)
    assert head.seed.tolist() == [[1.0, -1.0, 0.0, 0.0]]


def test_the_reference_fails_on_another_gradient() -> None:
    """Verification itself: a gradient 1% off is not let through."""
    from fluxpath.export._settings import Settings
    from fluxpath.export._torch_module import evaluating, subject_of

    module = modules.made(modules.tiny)
    with evaluating(module):
        subject = subject_of(module, ROW, None, None)
    reference = _torch_reference.Reference(subject, Settings())

    def evaluate(feeds: dict[str, np.ndarray], factor: float) -> dict[str, np.ndarray]:
        score, gradient = modules.float64_gradient(module, feeds["input"], feeds["target"])
        return {"score": score, "gradient": factor * gradient, "scale": np.ones(len(score))}

    from fluxpath.manifest import Manifest

    manifest = Manifest("input", (6,), modules.CLASSES, "softmax", 20, "none", "logits", factored=False)
    right = reference.check(lambda feeds: evaluate(feeds, 1.0), manifest)
    assert right.error < 1e-12
    with pytest.raises(VerificationError):
        reference.check(lambda feeds: evaluate(feeds, 1.01), manifest)
