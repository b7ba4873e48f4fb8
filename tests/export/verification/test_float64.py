"""A right gradient of an ill-conditioned network passes and a wrong one does not, whatever float32 says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from torch import nn

from fluxpath.artifact import read_manifest
from fluxpath.errors import ModelError, VerificationError
from fluxpath.export import gradient_from_torch
from fluxpath.export.rules import _registry
from fluxpath.export.verification.judgement import TYPICAL_ERROR

STEEP = "steeper = Mul(z, steep) wave = Sin(steeper) y = Mul(wave, little)"
CONSTANTS = {"steep": np.float32(2e5), "little": np.float32(1e-2)}


def test_a_right_gradient_that_float32_computes_badly(tmp_path: Path) -> None:
    """Sines of numbers in the hundred thousands: float32 has lost their second digit."""
    done = small.export(small.cnn(STEEP, **CONSTANTS), tmp_path)
    assert done.verification.typical > TYPICAL_ERROR, "else this shows nothing"
    assert done.manifest.error == done.verification.error


def test_a_wrong_rule_of_such_a_network_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cosine that is a hundredth too large."""
    (right,) = _registry._RULES["Sin"]

    def wrong(op, node, g):
        given = right.function(op, node, g)
        return op("Mul", given, op.scalar(1.01, given))

    monkeypatch.setitem(_registry._RULES, "Sin", [replace(right, function=wrong)])
    with pytest.raises(VerificationError, match="the gradient is off"):
        small.export(small.cnn(STEEP, **CONSTANTS), tmp_path)


def test_what_float32_cannot_tell_at_all_is_refused(tmp_path: Path) -> None:
    rounded = "a = Add(z, large) n = Sub(a, large) steeper = Mul(n, steep) y = Sin(steeper)"
    model = small.cnn(rounded, large=np.float32(1e7), steep=np.float32(30))
    with pytest.raises(VerificationError, match="rules are right, but float32 loses the model's gradient"):
        small.export(model, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("tail", "what"),
    [
        ("d = Mul(z, tiny) y = Add(d, large)", "small beside the logits"),
        ("a = Add(z, large) n = Sub(a, large) y = Mul(n, tiny)", "cancels"),
    ],
)
def test_a_gradient_that_rounding_nearly_drowns(tmp_path: Path, tail: str, what: str) -> None:
    constants = {"tiny": np.float32(1e-5), "large": np.float32(3)}
    model = small.cnn(tail, **{k: v for k, v in constants.items() if k in tail})
    assert small.export(model, tmp_path).verification.typical < TYPICAL_ERROR


def test_a_gradient_that_it_drowns_is_said_to_be_that(tmp_path: Path) -> None:
    model = small.cnn(
        "d = Mul(z, tiny) y = Add(d, steps)", tiny=np.float32(1e-25), steps=np.arange(5, dtype=np.float32)
    )
    with pytest.raises(VerificationError, match="no difference in float64 tells"):
        small.export(model, tmp_path, objective="margin")


def test_everything_that_was_compared_is_in_the_manifest(tmp_path: Path) -> None:
    done = small.export(small.cnn("y = Softmax(z)"), tmp_path)
    verified = done.manifest.verified
    assert verified is not None
    assert {name.split(",")[0] for name in verified} == {
        "gradient against central differences in float64",
        "score against float64",
        "score against the model's own probability",
        "an image alone and among others",
        "an image run again",
    }
    assert all(0 <= apart < 1e-3 for apart in verified.values())
    assert read_manifest(done.path).verified == verified


class Pooled(nn.Module):
    """torch's exporter drops the divisor (in 2.13)."""

    def __init__(self):
        super().__init__()
        self.convolution, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4 * 9, 5)

    def forward(self, x):
        h = nn.functional.avg_pool2d(torch.relu(self.convolution(x)), 2, divisor_override=3)
        return self.linear(h.flatten(1))


def test_an_exporter_that_leaves_something_out_is_named(tmp_path: Path) -> None:
    module, example = Pooled().eval(), torch.zeros(1, 3, 8, 8)
    with pytest.raises(ModelError, match=r"gives other outputs than the module .* ends in \.pt"):
        gradient_from_torch(module, example, tmp_path / "model.grad.onnx")
    assert gradient_from_torch(module, example, tmp_path / "model.grad.pt").verification.error < 1e-3
