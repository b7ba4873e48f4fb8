"""Small torch classifiers with deterministic weights. Import it after `pytest.importorskip("torch")`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

CLASSES, SIDE = 5, 32


class BasicBlock(nn.Module):
    """Two convolutions beside a shortcut, as in a ResNet."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        shortcut = [nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*shortcut) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.main(x) + self.shortcut(x))


class ViT(nn.Module):
    """Patches, a class token, two encoder layers with fused attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, 32))
        self.position = nn.Parameter(0.5 * torch.randn(1, 17, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.1, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), patches], 1) + self.position
        return self.head(self.encoder(tokens)[:, 0])


def resnet() -> nn.Module:
    """A stem with max pooling, a plain block and one that halves the picture."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        BasicBlock(8, 8, 1), BasicBlock(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(16, CLASSES),
    )  # fmt: skip


def tiny(outputs: int = CLASSES) -> nn.Module:
    """Two linear maps and a Tanh, on [batch, 6]."""
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, outputs))


def made(build: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """What `build` gives from a fixed seed, in evaluation mode, batch statistics not at their start."""
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    module = build().eval()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.3, 2)
    torch.random.set_rng_state(state)
    return module


class Through(nn.Module):
    """`way(net, x)` with the net `tiny`."""

    def __init__(self, way: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.net = made(tiny)
        self.way = way

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.way(self.net, x)


def float64_gradient(
    module: nn.Module, x: np.ndarray, target: np.ndarray, mean: float = 0.0, std: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """The target's softmax probability and its whole derivative by the input, by torch in float64.

    The derivative is p_t (1 - p_t) times that of log p_t - log(1 - p_t), so it has all digits where p_t is 1.
    """
    import copy

    double = copy.deepcopy(module).double().eval()
    value = torch.from_numpy(x).double().requires_grad_()
    logits = double((value - mean) / std)
    logits = logits if isinstance(logits, torch.Tensor) else logits["logits"]
    chosen = torch.where(torch.from_numpy(target) < 0, logits.argmax(1), torch.from_numpy(target))
    onehot = nn.functional.one_hot(chosen, logits.shape[1]).bool()
    odds = logits[onehot] - logits.masked_fill(onehot, -torch.inf).logsumexp(1)
    (gradient,) = torch.autograd.grad(odds.sum(), value)
    p, q = odds.sigmoid().detach(), (-odds).sigmoid().detach()
    whole = gradient * (p * q).reshape(-1, *[1] * (x.ndim - 1))
    return p.numpy(), whole.numpy()


def relative(given: np.ndarray, true: np.ndarray) -> float:
    """|given - true| / |true|, the worst row."""
    rows = (np.asarray(v, np.float64).reshape(len(v), -1) for v in (given - true, true))
    difference, size = (np.linalg.norm(r, axis=1) for r in rows)
    return float((difference / size).max())


class Returning(nn.Module):
    """`tiny`, its logits wrapped by `form` beside something else."""

    def __init__(self, form: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        self.net = made(tiny)
        self.form = form

    def forward(self, x: torch.Tensor) -> Any:
        return self.form(self.net(x), x * 2)
