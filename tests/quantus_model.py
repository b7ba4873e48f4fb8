"""The small classifier of `metric_cases` in torch, for Quantus and Captum."""

from __future__ import annotations

from typing import Any

import pytest
from metric_cases import Small

WHY = "Quantus is not installed: the extra `test` brings it"


def network(model: Small) -> Any:
    """A torch module with the model's logits, in float64 inside."""
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            features = model.first.shape[1]
            self.first = torch.nn.Linear(features, len(model.first))
            self.second = torch.nn.Linear(len(model.first), len(model.second))
            with torch.no_grad():
                self.first.weight.copy_(torch.from_numpy(model.first))
                self.first.bias.copy_(torch.from_numpy(-0.5 * model.first.sum(axis=1)))
                self.second.weight.copy_(torch.from_numpy(model.second))
                self.second.bias.zero_()

        def forward(self, x: Any) -> Any:
            flat = x.reshape(len(x), -1).to(self.first.weight.dtype)
            return self.second(torch.tanh(self.first(flat)))

    return Network().eval()


def quantus_of(model: Small) -> tuple[Any, Any]:
    """Quantus, and the model for it; skips the test where it is not installed."""
    quantus = pytest.importorskip("quantus", reason=WHY)
    return quantus, network(model)
