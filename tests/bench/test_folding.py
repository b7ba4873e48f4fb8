"""Batch normalisations are folded wherever that gives the same function, and stay everywhere else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from fluxpath.bench.eager import Classifier, Half  # noqa: E402
from fluxpath.bench.folding import folded, left_in  # noqa: E402

X = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def norm(channels: int) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(channels).eval()
    made.running_mean.normal_(0, 0.3)
    made.running_var.uniform_(0.3, 2)
    return made


def pair() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 3, 3, padding=1, bias=False), norm(3)).eval()


class Asks(nn.Module):
    """Asks what its values are, which no tracing answers, and looks into its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks, self.end = nn.ModuleList([pair(), pair()]), pair()

    def forward(self, x: Any) -> Any:
        assert bool(x.isfinite().all()) and isinstance(self.end[0], nn.Conv2d)
        for block in self.blocks:
            x = block(x).tanh()
        return SimpleNamespace(logits=self.end(x).flatten(1))


class Optional(nn.Module):
    """A part whose second input may be absent; traced by itself, it would seem to be there."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = pair()

    def forward(self, x: Any, more: Any = None) -> Any:
        return self.pair(x) if more is None else self.pair(x) + more


def wrapped(pick: Any = None) -> Classifier:
    return Classifier(nn.Sequential(pair(), nn.Flatten()), (0.4,) * 3, (0.3,) * 3, pick, False).eval()


def asking(found: Any) -> Any:
    assert bool(found.isfinite().all())
    return found


@pytest.mark.parametrize(
    ("module", "before"),
    [
        (nn.Sequential(pair(), nn.Tanh(), pair()), 2),
        (wrapped(), 1),
        (wrapped(asking), 1),
        (Half(wrapped(asking), torch.float32), 1),
        (Classifier(Asks(), None, None, lambda found: found.logits, False), 3),
        (nn.Sequential(Optional(), nn.Flatten()), 1),
        (Classifier(Optional(), None, None, asking, False), 1),
    ],
)
def test_none_is_left_whatever_is_around_the_pairs(module: nn.Module, before: int) -> None:
    made = folded(module)
    assert (left_in(module), left_in(made)) == (before, 0)
    torch.testing.assert_close(made(X), module(X), rtol=1e-4, atol=1e-5)


class Twice(nn.Module):
    """A convolution whose result is used beside the normalisation too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = pair()

    def forward(self, x: Any) -> Any:
        x = self.conv(x)
        return x + self.norm(x)


class Shared(nn.Module):
    """One convolution before two normalisations, which see another scale each."""

    def __init__(self, apart: bool) -> None:
        super().__init__()
        self.one, self.apart = pair(), apart
        self.two = nn.Sequential(self.one[0], norm(3))

    def forward(self, x: Any) -> Any:
        if self.apart:
            asking(x)
        return self.two(self.one(x))


class Again(nn.Module):
    """The same, under one name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = pair()
        self.other = norm(3)

    def forward(self, x: Any) -> Any:
        return self.other(self.conv(self.norm(self.conv(x))))


def hooked() -> nn.Module:
    made = pair()
    made[0].register_forward_pre_hook(lambda module, given: (given[0] * 2,))
    return made


def parametrized() -> nn.Module:
    made = pair()
    nn.utils.parametrizations.weight_norm(made[0])
    return made


def by_the_batch() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3, track_running_stats=False)).eval()


@pytest.mark.parametrize(
    "module",
    [Twice(), Again(), Shared(False), Shared(True), hooked(), parametrized(), by_the_batch(), norm(3)],
    ids=["used twice", "again", "shared", "shared by parts", "hook", "parametrized", "by the batch", "alone"],
)
def test_what_would_be_another_function_stays(module: nn.Module) -> None:
    made = folded(module.eval())
    assert left_in(made) == left_in(module) > 0
    torch.testing.assert_close(made(X), module(X), rtol=1e-4, atol=1e-5)


def test_the_module_itself_is_as_it_was() -> None:
    module = pair()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    folded(module)
    assert left_in(module) == 1
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
