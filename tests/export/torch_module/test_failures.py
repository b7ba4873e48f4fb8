"""What gradient_from_torch does where an exporter, a rule or a module fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import torch_modules as modules  # noqa: E402
from torch import nn  # noqa: E402

from fluxpath.errors import ModelError, UnsupportedOperatorError, VerificationError  # noqa: E402
from fluxpath.export import gradient_from_torch, supported_operators  # noqa: E402
from fluxpath.export.rules import _registry  # noqa: E402
from fluxpath.export.torch_module import exporter  # noqa: E402

IMAGE = torch.zeros(1, 3, modules.SIDE, modules.SIDE)
ROW = torch.zeros(1, 6)


def test_the_older_exporter_takes_over_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(subject: object, opset: int) -> None:
        raise RuntimeError("no such operator\nand more")

    monkeypatch.setattr(exporter, "_newer", fails)
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
        return exporter._older(subject, opset)

    monkeypatch.setattr(exporter, "_newer", fails_on_fused)
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

    monkeypatch.setattr(exporter, "to_onnx", fails)
    with pytest.raises(ModelError, match=r"^torch cannot export the module to ONNX \(broken\): .*\.pt$"):
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
    single = torch.eye(6)  # neither parameter nor buffer: it stays in float32

    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = modules.made(modules.tiny)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x @ single)

    done = gradient_from_torch(Single(), ROW, tmp_path / "g.onnx")
    assert "verified against differences of the ONNX model" in done.notes[0]
    assert done.verification.error < 1e-5


PAIR = modules.Returning(lambda z, other: (z, other))
CANNOT: list[tuple[Any, Any, dict[str, Any], str]] = [
    (len, ROW, {}, r"the model is of type builtin_function_or_method, and it must be a torch.nn.Module"),
    (modules.tiny(), [[0.0]], {}, r"the example's 'input' is of type list, and must be a tensor"),
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
        modules.Returning(lambda z, other: {"a": z, "b": other}),
        ROW,
        {},
        r"no tensor 'logits'.*: name the logits with",
    ),
    (PAIR, ROW, {"output": "5"}, r"the module returns no tensor '5', it returns \['0', '1'\]"),
    (modules.Returning(lambda z, other: z.round()), ROW, {}, r"does not depend on input"),
]


@pytest.mark.parametrize(("module", "example", "settings", "message"), CANNOT)
def test_what_cannot_be_compiled(
    module: Any, example: Any, settings: dict[str, Any], message: str, older_only: None, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=message):
        gradient_from_torch(module, example, tmp_path / "g.onnx", **settings)
    assert list(tmp_path.iterdir()) == []
