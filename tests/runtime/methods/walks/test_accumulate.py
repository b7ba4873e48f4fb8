"""MFABA(accumulate=True) against a torch loop that really never clears the image's gradient."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from twins import _attribution, relative_error

torch = pytest.importorskip("torch")

from fluxpath.export import gradient_from_torch  # noqa: E402
from fluxpath.runtime import MFABA, Explainer, Status  # noqa: E402

SHAPE = (2, 6, 6)
VARIANTS = list(product(("sharp", "smooth"), ("trapezoid", "left"), ("taylor", "norm", "cosine")))
STEP = {"sharp": 0.05, "smooth": 0.005}


def network(gain):
    torch.manual_seed(1)
    layers = [torch.nn.Conv2d(2, 4, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(64, 4)]
    made = torch.nn.Sequential(*layers).eval()
    with torch.no_grad():
        made[3].weight *= gain
    return made


@pytest.fixture(scope="module", params=[4.0, 160.0], ids=["unsure", "sure"])
def both(request, tmp_path_factory):
    """The network in float64, and the explainer of its file; once with probabilities that round to 1."""
    made = network(request.param)
    path = tmp_path_factory.mktemp("accumulate") / "network.grad.onnx"
    gradient_from_torch(made, torch.zeros(1, *SHAPE), path, objective="softmax")
    with Explainer(path, threads=1) as explainer:
        yield made.double(), explainer


def never_cleared(model, image, ascent, rule, path, step_size, max_steps):
    """One image: (values, steps, status). Torch adds the gradient of every backward pass to `x.grad`."""
    start = torch.from_numpy(image.astype(np.float64))
    x = start.clone().requires_grad_()
    radius = np.inf if ascent == "sharp" else 0.3
    points, gradients = [], []
    target = int(model(x[None]).argmax())
    while True:
        logits = model(x[None])[0]
        rest = torch.logsumexp(logits[torch.arange(4) != target], 0)
        torch.sigmoid(logits[target] - rest).backward()
        points.append(x.detach().numpy().copy())
        gradients.append(x.grad.numpy().copy())
        steps = len(points) - 1
        if steps > 0 and int(logits.argmax()) != target:
            status = Status.BOUNDARY
            break
        if steps == max_steps:
            status = Status.MAX_STEPS
            break
        along = x.grad / x.grad.norm() if ascent == "sharp" else x.grad.sign()
        with torch.no_grad():
            x.copy_((x - step_size * along).clamp(start - radius, start + radius).clamp(0, 1))
    return _attribution(points, gradients, rule, path), steps, status


@pytest.mark.parametrize(("ascent", "rule", "path"), VARIANTS)
def test_it_is_the_loop_that_never_clears(both, ascent, rule, path):
    model, explainer = both
    images = np.random.default_rng(2).random((5, *SHAPE), np.float32)
    settings = {"ascent": ascent, "rule": rule, "path": path, "step_size": STEP[ascent], "max_steps": 12}
    result = explainer.attribute(images, None, MFABA(**settings, accumulate=True))
    assert result.steps.max() > 3
    for i, image in enumerate(images):
        values, steps, status = never_cleared(model, image, **settings)
        assert (result.steps[i], result.status[i]) == (steps, status)
        assert relative_error(result.values[i], values) < 3e-5


def test_it_is_off_by_default_and_not_the_same(both):
    _, explainer = both
    images = np.random.default_rng(2).random((5, *SHAPE), np.float32)
    given, plain = (
        explainer.attribute(images, None, MFABA(step_size=0.05, **s)) for s in ({"accumulate": True}, {})
    )
    off = explainer.attribute(images, None, MFABA(step_size=0.05, accumulate=False))
    np.testing.assert_array_equal(plain.values, off.values)
    long = plain.steps > 2
    assert long.any()
    assert np.abs(given.values - plain.values)[long].max() > 0.5 * np.abs(plain.values)[long].max()
