"""The score of an output of probabilities is that output's own entry, or the export stops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import small
import torch
from torch import nn

from fluxpath.errors import ModelError
from fluxpath.export import gradient_from_onnx, gradient_from_torch
from fluxpath.runtime import Explainer, Saliency

TAILS = {
    "reshape": "q = Softmax<axis=1>(z) y = Reshape(q, five)",
    "squeeze": "w4 = Unsqueeze(z, last) q = Softmax<axis=1>(w4) y = Squeeze(q, last)",
    "flatten": "w4 = Unsqueeze(z, last) q = Softmax<axis=1>(w4) y = Flatten(q)",
    "transpose": "w4 = Unsqueeze(z, last) t = Transpose<perm=[0, 2, 3, 1]>(w4) q = Softmax<axis=3>(t) "
    "u = Transpose<perm=[0, 3, 1, 2]>(q) y = Flatten(u)",
    "cast": "q = Softmax(z) h = Cast<to=10>(q) y = Cast<to=1>(h)",
    "clip": "q = Softmax(z) y = Clip(q, low, high)",
    "identity": "q = Softmax(z) i = Identity(q) y = Identity(i)",
}
CONSTANTS = {"five": [-1, 5], "last": [2, 3], "low": np.float32(1e-7), "high": np.float32(1)}
HIDDEN = {
    "percent": "q = Softmax(z) y = Mul(q, hundred)",
    "without the first class": "q = Softmax(z) y = Slice(q, first, end, last)",
    "what is left of one": "q = Softmax(z) y = Sub(high, q)",
    "two sigmoids": "q = Sigmoid(z) d = Mul(z, third) n = Sigmoid(d) s = Add(q, n) y = Mul(s, half)",
}
HIDING = {
    "hundred": np.float32(100),
    "first": [1],
    "end": [5],
    "last": [1],
    "high": np.float32(1),
    "third": np.float32(3),
    "half": np.float32(0.5),
}
WRITTEN_OUT = "e = Exp(z) s = ReduceSum<keepdims=1>(e, last) y = Div(e, s)"
"""A softmax that no operator of that name makes."""


@pytest.mark.parametrize("tail", TAILS)
def test_the_logits_are_found_behind_what_keeps_every_row(tmp_path: Path, tail: str) -> None:
    model = small.cnn(TAILS[tail], **{k: v for k, v in CONSTANTS.items() if k in TAILS[tail]})
    done = small.export(model, tmp_path)
    x = small.images(4)
    out = small.run(done.path, x, -1)
    own = small.run(model, x)["y"]
    np.testing.assert_allclose(out["score"], own.max(axis=1), rtol=2e-3 if tail == "cast" else 1e-5)


def test_probabilities_from_elsewhere_are_refused_and_the_logits_can_be_named(tmp_path: Path) -> None:
    """Rows that sum to one by numbers that no structure shows."""
    model = small.cnn(
        f"{WRITTEN_OUT.replace('y =', 'u =')} h = Mul(u, half) k = Add(h, h) y = Abs(k)", last=[1], half=0.5
    )
    with pytest.raises(ModelError, match=r"output 'y' holds probabilities .* --logits NAME"):
        small.export(model, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]
    done = gradient_from_onnx(tmp_path / "model.onnx", tmp_path / "g.onnx", output="z")
    x = small.images(4)
    np.testing.assert_allclose(
        small.run(done.path, x, -1)["score"], small.run(model, x)["y"].max(axis=1), rtol=1e-5
    )


@pytest.mark.parametrize("objective", ["softmax", "log_softmax", "sigmoid"])
@pytest.mark.parametrize("tail", HIDDEN)
def test_what_is_made_of_probabilities_is_refused(tmp_path: Path, tail: str, objective: str) -> None:
    model = small.cnn(HIDDEN[tail], **{k: v for k, v in HIDING.items() if k in HIDDEN[tail]})
    with pytest.raises(ModelError, match=r"output 'y' holds probabilities .* with the objective 'logit'"):
        small.export(model, tmp_path, objective=objective)
    assert small.export(model, tmp_path, objective="logit").path.exists()


@pytest.mark.parametrize("tail", ["y = Add(z, large)", "y = Mul(z, tiny)", "a = Abs(z) y = Add(a, large)"])
def test_logits_that_look_alike_are_no_probabilities(tmp_path: Path, tail: str) -> None:
    constants = {"large": np.float32(1000), "tiny": np.float32(1e-3)}
    model = small.cnn(tail, **{k: v for k, v in constants.items() if k in tail})
    assert small.export(model, tmp_path).path.exists()


class Ensemble(nn.Module):
    """The mean of what two classifiers give, each by `end`."""

    def __init__(self, end, classes):
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(12, classes) for _ in range(2)])
        self.end = end

    def forward(self, x):
        return sum(self.end(4 * part(x.flatten(1))) for part in self.parts) / 2


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
@pytest.mark.parametrize("classes", [5, 1000])
def test_a_modules_probabilities_of_its_own_making(tmp_path: Path, classes: int, suffix: str) -> None:
    torch.manual_seed(0)
    module, example = Ensemble(lambda z: z.softmax(-1), classes).eval(), torch.zeros(1, 3, 2, 2)
    path, x = tmp_path / f"model.grad{suffix}", small.images(4, 3, 2, 2)
    gradient_from_torch(module, example, path)
    with torch.no_grad():
        own = module(torch.from_numpy(x)).max(dim=1).values.numpy()
    with Explainer(path) as explainer:
        np.testing.assert_allclose(explainer.attribute(x, method=Saliency()).score, own, rtol=1e-5)
    done = gradient_from_torch(module, example, path, objective="logit")
    with Explainer(done.path) as explainer:
        np.testing.assert_allclose(explainer.attribute(x, method=Saliency()).score, own, rtol=1e-5)


class Ends(nn.Module):
    """A linear layer and `end`."""

    def __init__(self, end, classes):
        super().__init__()
        self.linear, self.end = nn.Linear(12, classes), end
        self.weight = nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        return self.end(self, self.linear(x.flatten(1)))


SUMS_TO_ONE = {
    "by hand": lambda m, z: z.exp() / z.exp().sum(1, keepdim=True),
    "log_softmax": lambda m, z: z.log_softmax(1).exp(),
    "learned weights": lambda m, z: m.weight * z.softmax(1) + (1 - m.weight) * (3 * z).softmax(1),
    "evidence": lambda m, z: (1 + z.relu()) / (1 + z.relu()).sum(1, keepdim=True),
}
EACH_ITS_OWN = {
    "by hand": lambda m, z: 1 / (1 + (-z).exp()),
    "probit": lambda m, z: 0.5 * (1 + torch.erf(z)),
    "logsigmoid": lambda m, z: nn.functional.logsigmoid(z).exp(),
}


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
@pytest.mark.parametrize("end", SUMS_TO_ONE)
def test_however_a_module_makes_rows_that_sum_to_one(tmp_path: Path, end: str, suffix: str) -> None:
    torch.manual_seed(0)
    module, path = Ends(SUMS_TO_ONE[end], 5).eval(), tmp_path / f"model.grad{suffix}"
    gradient_from_torch(module, torch.zeros(1, 3, 2, 2), path)
    x = small.images(4, 3, 2, 2)
    with torch.no_grad():
        own = module(torch.from_numpy(x)).max(dim=1).values.numpy()
    with Explainer(path) as explainer:
        np.testing.assert_allclose(explainer.attribute(x, method=Saliency()).score, own, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize("end", EACH_ITS_OWN)
def test_what_lies_between_0_and_1_is_not_explained_in_silence(
    tmp_path: Path, end: str, classes: int, suffix: str
) -> None:
    torch.manual_seed(0)
    module, path = Ends(EACH_ITS_OWN[end], classes).eval(), tmp_path / f"model.grad{suffix}"
    told = ""
    try:
        told = " ".join(gradient_from_torch(module, torch.zeros(1, 3, 2, 2), path, objective="sigmoid").notes)
    except ModelError as error:
        told = str(error)
    assert "holds probabilities" in told or "between 0 and 1" in told


@pytest.mark.parametrize("suffix", [".onnx", ".pt"])
@pytest.mark.parametrize("classes", [1, 5])
def test_a_module_that_averages_sigmoids(tmp_path: Path, classes: int, suffix: str) -> None:
    torch.manual_seed(0)
    module, path = Ensemble(torch.sigmoid, classes).eval(), tmp_path / f"model.grad{suffix}"
    with pytest.raises(ModelError, match="holds probabilities"):
        gradient_from_torch(module, torch.zeros(1, 3, 2, 2), path, objective="sigmoid")
    assert list(tmp_path.iterdir()) == []


def test_a_probability_itself_can_be_explained_as_a_number(tmp_path: Path) -> None:
    model = small.cnn(WRITTEN_OUT, last=[1])
    done = small.export(model, tmp_path, objective="logit")
    x = small.images(4)
    np.testing.assert_allclose(
        small.run(done.path, x, -1)["score"], small.run(model, x)["y"].max(axis=1), rtol=1e-5
    )


def test_a_fixed_batch_and_a_normalisation_are_the_source_models_own(tmp_path: Path) -> None:
    model = small.cnn("y = Softmax(z)", dims="2,3,4,4")
    assert small.export(model, tmp_path, mean=[0.5] * 3, std=[0.25] * 3).verification.error < 1e-3
    onnx.checker.check_model(onnx.load(tmp_path / "model.grad.onnx"))
