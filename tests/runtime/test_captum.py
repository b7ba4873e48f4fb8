"""The methods that Captum has as well, on a small convolutional network, against Captum's own numbers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from twins import normals, relative_error

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    attr = pytest.importorskip("captum.attr", exc_type=ImportError)

from torch import nn  # noqa: E402

from fluxpath.export import gradient_from_torch  # noqa: E402
from fluxpath.runtime import (  # noqa: E402
    Explainer,
    InputXGradient,
    IntegratedGradients,
    Saliency,
    SmoothGrad,
)

SHAPE, CLOSE = (3, 12, 12), 1e-5


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.Tanh()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * 16, 5)).eval()


@pytest.fixture(scope="module")
def explainer(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("captum") / "network.grad.onnx"
    gradient_from_torch(network, torch.zeros(1, *SHAPE), path, objective="softmax")
    with Explainer(path, threads=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def forward(network):
    return lambda x: torch.softmax(network(x), dim=1)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((4, *SHAPE)).astype(np.float32)


def compare(explainer, images, method, captum_values):
    ours = explainer.attribute(images, None, method)
    theirs = captum_values(torch.from_numpy(images), torch.from_numpy(ours.label))
    for mine, their in zip(ours.values, theirs.detach().numpy(), strict=True):
        assert relative_error(mine, their) < CLOSE


@pytest.mark.parametrize("absolute", [True, False])
def test_saliency(explainer, forward, images, absolute):
    theirs = attr.Saliency(forward)
    compare(
        explainer,
        images,
        Saliency(absolute),
        lambda x, t: theirs.attribute(x.requires_grad_(), target=t, abs=absolute),
    )


def test_input_x_gradient(explainer, forward, images):
    theirs = attr.InputXGradient(forward)
    compare(explainer, images, InputXGradient(), lambda x, t: theirs.attribute(x.requires_grad_(), target=t))


@pytest.mark.parametrize("baseline", ["black", "array"])
@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ("trapezoid", "riemann_trapezoid"),
        ("left", "riemann_left"),
        ("right", "riemann_right"),
        ("middle", "riemann_middle"),
        ("gauss-legendre", "gausslegendre"),
    ],
)
def test_integrated_gradients(explainer, forward, images, rule, name, baseline):
    """Captum counts the trapezoid's points, and its weights there add up to (points - 1) / points."""
    steps, theirs = 20, attr.IntegratedGradients(forward)
    points = steps + (rule == "trapezoid")
    full = points / (points - 1) if rule == "trapezoid" else 1.0
    b = 0.0 if baseline == "black" else images[3] / 2
    start = 0.0 if baseline == "black" else torch.from_numpy(b)[None]
    compare(
        explainer,
        images,
        IntegratedGradients(steps, rule, b),
        lambda x, t: full * theirs.attribute(x, start, target=t, n_steps=points, method=name),
    )


@pytest.mark.parametrize("variant", ["mean", "squared", "variance"])
def test_smoothgrad(explainer, forward, images, variant):
    """Captum's Saliency at the same noisy images: its NoiseTunnel makes noise of its own."""
    n, sigma, theirs = 12, 0.1, attr.Saliency(forward)
    noise = np.stack([normals(8, k, int(np.prod(SHAPE))).reshape(SHAPE) for k in range(n)])
    moved = torch.from_numpy((sigma * noise).astype(np.float32))

    def captum(x, t):
        result = []
        for image, target in zip(x, t, strict=True):
            noisy = (image + moved).requires_grad_()
            g = theirs.attribute(noisy, target=int(target), abs=False)
            variance = g.var(dim=0, correction=0)
            result.append({"mean": g.mean(0), "squared": (g * g).mean(0), "variance": variance}[variant])
        return torch.stack(result)

    compare(explainer, images, SmoothGrad(n, sigma, variant, seed=8), captum)
