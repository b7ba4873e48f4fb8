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

MIXING = {
    "the mean of the batch": ("k = ReduceMean<keepdims=1>(z, axis) y = Sub(z, k)", "ReduceMean"),
    "the largest of all": ("a = Abs(z) k = ReduceMax<keepdims=1>(a) y = Div(z, k)", "ReduceMax"),
    "a hundredth of the mean": (
        "k = ReduceMean<keepdims=1>(z, axis) h = Mul(k, little) y = Sub(z, h)",
        "ReduceMean",
    ),
}


@pytest.mark.parametrize("name", MIXING)
def test_a_graph_that_mixes_is_refused_by_the_operator_that_does(tmp_path: Path, name: str) -> None:
    tail, operator = MIXING[name]
    constants = {"axis": [0], "little": np.float32(0.01)}
    model = small.cnn(tail, **{k: v for k, v in constants.items() if k in tail})
    with pytest.raises(ModelError, match=rf"mixes the images of a batch in {operator} '"):
        small.export(model, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


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


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_statistics_of_an_image_by_itself_are_none_of_that(tmp_path: Path, precision: str) -> None:
    model = small.cnn("k = ReduceMean<keepdims=1>(z, axis) y = Sub(z, k)", axis=[1])
    assert small.export(model, tmp_path, precision=precision).path.exists()
