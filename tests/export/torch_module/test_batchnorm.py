"""Batch normalisation in a traced gradient: folded or written out, the gradient stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import torch_modules as modules  # noqa: E402
from torch import nn  # noqa: E402

from fluxpath.export import gradient_from_torch  # noqa: E402
from fluxpath.export.settings import Settings  # noqa: E402
from fluxpath.export.torch_module.subject import subject_of  # noqa: E402
from fluxpath.export.torch_module.trace import trace  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")

IMAGE = torch.zeros(1, 3, 8, 8)


class Alone(nn.Module):
    """Where there is no convolution to fold into, or its output is needed as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.BatchNorm2d(3)
        self.conv = nn.Conv2d(3, 8, 3)
        self.second = nn.BatchNorm2d(8)
        self.up = nn.ConvTranspose2d(8, 6, 3)
        self.third = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, modules.CLASSES)
        self.fourth = nn.BatchNorm1d(modules.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(self.first(x))
        z = torch.relu(self.second(y)) + y
        return self.fourth(self.head(self.third(self.up(z)).relu().mean((2, 3))))


class Shared(nn.Module):
    """One convolution and one normalisation, used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.head = nn.Linear(3, modules.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.conv(x)).tanh()
        return self.head(self.norm(self.conv(y)).mean((2, 3)) + self.norm(x).mean((2, 3)))


def plain() -> nn.Module:
    """Grouped and strided convolutions with and without a bias, each followed by its normalisation."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1, groups=3), nn.BatchNorm2d(6), nn.SiLU(),
        nn.Conv2d(6, 8, 3, bias=False, dilation=2, padding=2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, modules.CLASSES),
    )  # fmt: skip


def unlearned() -> nn.Module:
    """Without gamma and beta: left as it is."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False), nn.Flatten(), nn.Linear(144, 5))


def operators(build: Callable[[], nn.Module]) -> list[str]:
    subject = subject_of(modules.made(build), IMAGE, None, None)
    # An objective without a product of its own.
    graph = trace(subject, Settings(objective="logit")).graph
    return [str(n.target) for n in graph.nodes if n.op == "call_function"]


@pytest.mark.parametrize("build", [plain, Alone, Shared, modules.resnet, unlearned])
def test_the_gradient_stays(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    module = modules.made(build)
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and part.affine:
                part.weight.copy_(torch.linspace(-2, 3, part.num_features))
                part.bias.copy_(torch.linspace(0.5, -1, part.num_features))
    gradient_from_torch(module, IMAGE, tmp_path / "g.pt")
    x = np.random.default_rng(0).random((3, 3, 8, 8), dtype=np.float32)
    score, true = modules.float64_gradient(module, x, np.array([0, 1, 2]))
    graph = torch.jit.load(str(tmp_path / "g.pt"))
    out = {k: v.numpy() for k, v in graph(torch.from_numpy(x), torch.arange(3)).items()}
    assert modules.relative(out["gradient"] * out["scale"].reshape(-1, 1, 1, 1), true) < 3e-6
    np.testing.assert_allclose(out["score"], score, rtol=1e-5)


def test_it_goes_into_the_convolution() -> None:
    for build in (plain, modules.resnet):
        found = operators(build)
        assert not [o for o in found if "batch_norm" in o]
        assert found.count("aten.convolution_backward") == found.count("aten.convolution") > 1
    # Nothing is left of it: no factors, no offsets but the shortcuts' and that of the gradient's two ways.
    assert "aten.mul" not in found


def test_it_is_written_out_elsewhere() -> None:
    found = operators(Alone)
    assert not [o for o in found if "batch_norm" in o]
    # Four normalisations, each a product forward and one backward.
    assert found.count("aten.mul") == 8
    assert [o for o in operators(unlearned) if "batch_norm" in o]
