"""Small torch modules for what the image models leave out: sequences, volumes, tables, binary heads."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from zoo.image_models import LABELS, Entry


class Recurrent(nn.Module):  # type: ignore[misc]
    """A recurrent layer over [batch, time, features], and a linear map of its last output."""

    def __init__(self, kind: type[nn.RNNBase], **options: Any) -> None:
        super().__init__()
        self.layer = kind(6, 10, batch_first=True, **options)
        self.head = nn.Linear(20 if options.get("bidirectional") else 10, LABELS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x)[0][:, -1])


def _sequence() -> torch.Tensor:
    return torch.randn(1, 7, 6, generator=torch.Generator().manual_seed(1))


def _conv1d() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(4, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ELU(), nn.AvgPool1d(2),
        nn.Conv1d(8, 12, 3, dilation=2), nn.GELU(approximate="tanh"), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        nn.Linear(12, LABELS),
    )  # fmt: skip


def _conv3d() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(1, 6, 3, padding=1), nn.BatchNorm3d(6), nn.LeakyReLU(0.1), nn.MaxPool3d(2),
        nn.Conv3d(6, 8, 3), nn.SiLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(8, LABELS),
    )  # fmt: skip


def _table() -> nn.Module:
    return nn.Sequential(
        nn.Linear(12, 16), nn.BatchNorm1d(16), nn.SELU(), nn.Linear(16, 16), nn.Softplus(), nn.LayerNorm(16),
        nn.Mish(), nn.Linear(16, LABELS),
    )  # fmt: skip


def _randn(*shape: int) -> Any:
    return lambda: torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))


TOYS: dict[str, Entry] = {
    "lstm": Entry(lambda: Recurrent(nn.LSTM), _sequence),
    "lstm-two-layers": Entry(lambda: Recurrent(nn.LSTM, num_layers=2), _sequence),
    "bi-lstm": Entry(lambda: Recurrent(nn.LSTM, bidirectional=True), _sequence),
    "gru": Entry(lambda: Recurrent(nn.GRU), _sequence),
    "bi-gru": Entry(lambda: Recurrent(nn.GRU, bidirectional=True), _sequence),
    "rnn": Entry(lambda: Recurrent(nn.RNN), _sequence),
    "conv1d": Entry(_conv1d, _randn(4, 20)),
    "conv3d": Entry(_conv3d, _randn(1, 8, 8, 8)),
    "mlp-table": Entry(_table, _randn(12)),
}
