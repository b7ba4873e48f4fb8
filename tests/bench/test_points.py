"""Eager loops over points copy each of them a few times at most, however many images there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from fluxpath.bench import points, walks  # noqa: E402
from fluxpath.bench.eager import Network, exact_gradient, full_backward  # noqa: E402
from fluxpath.runtime import InputXGradient, IntegratedGradients, NeFLAG, Saliency, SmoothGrad  # noqa: E402

IMAGES = torch.rand(40, 6, generator=torch.Generator().manual_seed(0))
TARGETS = torch.zeros(40, dtype=torch.int64)


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network(nn.Linear(6, 3))


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows of points each concatenation copies."""
    rows: list[int] = []
    cat: Callable[..., Any] = torch.cat

    def counted(tensors: Any, *rest: Any) -> Any:
        made = cat(tensors, *rest)
        if made.ndim == 2:
            rows.append(len(made))
        return made

    monkeypatch.setattr(torch, "cat", counted)
    return rows


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("slots", [7, 32, 1000])
@pytest.mark.parametrize(
    ("method", "each"),
    [(Saliency(), 1), (InputXGradient(), 1), (IntegratedGradients(1, "left"), 1), (SmoothGrad(n=5), 5)],
    ids=str,
)
def test_points_are_not_copied_over_and_over(
    method: Any, each: int, slots: int, together: bool, network: Network, copied: list[int]
) -> None:
    differentiate = exact_gradient if together else full_backward
    found = points.summed(network, IMAGES, TARGETS, method, slots, differentiate, together)
    assert found.shape == IMAGES.shape
    assert sum(copied) <= 2 * each * len(IMAGES)


def test_samples_of_walks_are_not_copied_over_and_over(network: Network, copied: list[int]) -> None:
    """They come from as many images as have room, and are joined once."""
    walks.best_neflag(network, IMAGES, TARGETS, NeFLAG(n=1, radius=0.1, max_steps=1), 1000)
    assert sum(copied) <= 2 * len(IMAGES)
