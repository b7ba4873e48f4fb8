"""What is random, or not the same for an image alone and among others, is refused with what it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import small
import torch
from torch import nn
from torch.nn import functional

from fluxpath.errors import ModelError
from fluxpath.export import gradient_from_torch
from fluxpath.export.verification import rows

MIXING = {
    "the mean of the batch": ("k = ReduceMean<keepdims=1>(z, axis) y = Sub(z, k)", "ReduceMean"),
    "the largest of all": ("a = Abs(z) k = ReduceMax<keepdims=1>(a) y = Div(z, k)", "ReduceMax"),
    "a little of the mean": (
        "k = ReduceMean<keepdims=1>(z, axis) h = Mul(k, little) y = Sub(z, h)",
        "ReduceMean",
    ),
    "the mean beside a large number": (
        "k = ReduceMean<keepdims=1>(z, axis) h = Sub(z, k) y = Add(h, large)",
        "ReduceMean",
    ),
    "the mean's whole part": (
        "k = ReduceMean<keepdims=1>(z, axis) h = Mul(k, large) n = Round(h) y = Sub(z, n)",
        "ReduceMean",
    ),
}
CONSTANTS = {"axis": [0], "little": np.float32(3e-4), "large": np.float32(1e4)}


@pytest.mark.parametrize("objective", ["softmax", "logit"])
@pytest.mark.parametrize("name", MIXING)
def test_a_graph_that_mixes_is_refused_by_the_operator_that_does(
    tmp_path: Path, name: str, objective: str
) -> None:
    tail, operator = MIXING[name]
    model = small.cnn(tail, **{k: v for k, v in CONSTANTS.items() if k in tail})
    with pytest.raises(ModelError, match=rf"mixes the images of a batch in {operator} '"):
        small.export(model, tmp_path, objective=objective)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_rounding_is_told_from_mixing() -> None:
    """A runtime that rounds a row otherwise among others, to the third digit; in float64 it does not."""
    feeds = {"x": np.linspace(0.1, 0.9, 20, dtype=np.float32).reshape(4, 5)}

    def rounds(feeds):
        return {"y": feeds["x"] * (1 + 1e-3 * (len(feeds["x"]) > 1))}

    def mixes(feeds):
        return {"y": feeds["x"] + 1e-3 * feeds["x"].mean()}

    told = rows.check_rows(rounds, feeds, ["y"], exact=lambda: lambda feeds: {"y": feeds["x"]})
    assert max(told.values()) == pytest.approx(1e-3, rel=0.01)
    for exact in (None, lambda: mixes):
        with pytest.raises(ModelError, match="mixes the images"):
            rows.check_rows(rounds if exact is None else mixes, feeds, ["y"], exact=exact)


class Head(nn.Module):
    """A convolution, what `between` does, and a linear layer."""

    def __init__(self, between):
        super().__init__()
        self.first, self.last, self.between = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 5), between
        self.norm = nn.BatchNorm2d(4, track_running_stats=False)

    def forward(self, x):
        return self.last(self.between(self, torch.relu(self.first(x))).flatten(1))


RANDOM = {
    "dropout": lambda m, h: functional.dropout(h, 0.1),
    "a little noise": lambda m, h: h + 1e-3 * torch.randn_like(h),
}
DEPENDENT = {
    "batch statistics": lambda m, h: m.norm(h),
    "the batch's mean": lambda m, h: h - h.mean(0),
    "the largest of all": lambda m, h: h / h.amax(),
    "the order": lambda m, h: h * torch.arange(1, 1 + len(h)).to(h)[:, None, None, None],
    "the next image": lambda m, h: h + 0.01 * h.roll(1, 0),
    "the first two rows": lambda m, h: torch.cat([h[:1], h[1:2] * (1 + h[:1].mean()), h[2:]]),
    "the gradient alone": lambda m, h: h + h.mean(0) - h.mean(0).detach(),
}


def refused(tmp_path: Path, suffix: str, between: object) -> str:
    module = Head(between).eval()
    with pytest.raises(ModelError) as raised:
        gradient_from_torch(module, torch.zeros(1, 3, 8, 8), tmp_path / f"model.grad{suffix}")
    assert list(tmp_path.iterdir()) == []
    return str(raised.value)


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
@pytest.mark.parametrize("name", RANDOM)
def test_a_module_that_draws_random_numbers(tmp_path: Path, name: str, suffix: str) -> None:
    assert "another result when it is run again on the same input" in refused(tmp_path, suffix, RANDOM[name])


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
@pytest.mark.parametrize("name", DEPENDENT)
def test_a_module_that_mixes_its_batch(tmp_path: Path, name: str, suffix: str) -> None:
    assert "mixes the images of a batch" in refused(tmp_path, suffix, DEPENDENT[name])


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
def test_a_batch_of_one_that_loses_its_dimension(tmp_path: Path, suffix: str) -> None:
    class Squeezed(Head):
        def forward(self, x):
            return super().forward(x).squeeze()

    with pytest.raises(ModelError, match=r"of shape \[5, 1\], and among others \[1, 5\]: keep the batch"):
        gradient_from_torch(
            Squeezed(lambda m, h: h).eval(), torch.zeros(2, 3, 8, 8), tmp_path / f"model.grad{suffix}"
        )


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_statistics_of_an_image_by_itself_are_none_of_that(tmp_path: Path, precision: str) -> None:
    model = small.cnn("k = ReduceMean<keepdims=1>(z, axis) y = Sub(z, k)", axis=[1])
    assert small.export(model, tmp_path, precision=precision).path.exists()
