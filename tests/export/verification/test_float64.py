"""A right gradient of an ill-conditioned network passes and a wrong one does not, whatever float32 says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small
import torch
from torch import nn

from fluxpath.errors import ModelError, VerificationError
from fluxpath.export import gradient_from_torch
from fluxpath.export.rules import _registry
from fluxpath.export.verification.gradient import TYPICAL_ERROR

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
