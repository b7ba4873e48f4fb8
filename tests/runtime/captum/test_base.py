"""fluxpath.runtime.captum: the explainer's own numbers as tensors, and Captum's tools on top of them."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    attr = pytest.importorskip("captum.attr", exc_type=ImportError)
    from captum import metrics

from fluxpath.errors import InputError  # noqa: E402
from fluxpath.methods import NAMES  # noqa: E402
from fluxpath.runtime import Explainer, captum, methods  # noqa: E402

CLASSES = {name for name, _ in NAMES.values()}
SETTINGS = {
    "ExpectedGradients": {"n": 5},
    "AGI": {"classes": 2},
    "BIG": {"integration_steps": 5},
    "GuidedIG": {"steps": 9},
}


def further(name, x):
    """What a method needs beside its defaults, as Captum passes it and as fluxpath takes it."""
    arrays = {"ExpectedGradients": "background", "LPI": "references"}
    passed = {"baselines": x[:2] / 2} if name in arrays else {}
    return {**passed, **SETTINGS.get(name, {})}, {
        **({arrays[name]: x[:2].numpy() / 2} if passed else {}),
        **SETTINGS.get(name, {}),
    }


def test_every_method_is_there():
    made = {n for n in captum.__all__ if not n.endswith("Attribution")}
    assert made == CLASSES
    assert all(issubclass(getattr(captum, name), attr.Attribution) for name in captum.__all__)
    assert all(getattr(captum, name).method is getattr(methods, name) for name in CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_each_gives_what_the_explainer_gives(name, files, x):
    options = {"objective": "logit", "rules": "deeplift"} if name == "DeepLIFT" else {}
    theirs, ours = further(name, x)
    with Explainer(files(**options), threads=1) as explainer:
        given = getattr(captum, name)(explainer).attribute(x, target=torch.tensor([1, 2, 3, 4]), **theirs)
        wanted = explainer.attribute(x.numpy(), [1, 2, 3, 4], getattr(methods, name)(**ours))
    assert given.dtype == torch.float32 and not given.requires_grad
    np.testing.assert_array_equal(given.numpy(), wanted.values)


@pytest.mark.parametrize(
    ("rule", "name"),
    [("gauss-legendre", "gausslegendre"), ("left", "riemann_left"), ("right", "riemann_right")],
)
@pytest.mark.parametrize("baseline", ["number", "one", "each", "tuple"])
def test_integrated_gradients_with_baselines_are_captums(explainer, network, x, rule, name, baseline):
    b = {"number": 0.25, "one": x[:1] / 2, "each": x / 3, "tuple": (x / 3,)}[baseline]
    theirs = attr.IntegratedGradients(lambda v: torch.softmax(network(v), 1))
    wanted, gap = theirs.attribute(x, b, 1, n_steps=9, method=name, return_convergence_delta=True)
    ours = captum.IntegratedGradients(explainer)
    given, delta = ours.attribute(x, b, 1, steps=9, rule=rule, return_convergence_delta=True)
    assert (given - wanted).norm() < 1e-5 * wanted.norm()
    torch.testing.assert_close(delta, gap.to(delta), atol=1e-6, rtol=0)
    torch.testing.assert_close(ours.compute_convergence_delta(given, b, x, 1), delta, atol=1e-6, rtol=0)


def test_a_baseline_of_zeros_is_a_number_where_the_method_takes_one(explainer, x):
    guided = captum.GuidedIG(explainer, steps=5)
    zeros = guided.attribute(x, torch.zeros_like(x), 1)
    assert torch.equal(zeros, guided.attribute(x, 0, 1)) and torch.equal(zeros, guided.attribute(x, target=1))
    greys = torch.arange(4).view(4, 1, 1, 1) / 10 * torch.ones_like(x)
    torch.testing.assert_close(guided.attribute(x, greys, 1)[2:3], guided.attribute(x[2:3], 0.2, 1))
    with pytest.raises(InputError, match="baseline"):
        guided.attribute(x, x / 2, 1)


@pytest.mark.parametrize(
    ("name", "settings", "there"),
    [
        ("MFABA", {}, True),
        ("MFABA", {"path": "norm"}, True),
        ("IntegratedGradients", {"rule": "middle"}, True),
        ("GuidedIG", {"steps": 9}, True),
        ("AGI", {"classes": 1}, True),
        ("AGI", {"classes": 2}, False),
        ("NeFLAG", {"n": 2}, False),
        ("Saliency", {}, False),
        ("ExpectedGradients", {}, False),
        ("DeepLIFT", {}, True),
    ],
    ids=str,
)
def test_convergence_delta(files, x, name, settings, there):
    """The sum less the change of the score, which for what Captum has no path of is the error rate's gap."""
    options = {"objective": "logit", "rules": "deeplift"} if name == "DeepLIFT" else {}
    with Explainer(files(**options), threads=1) as explainer:
        adapter = getattr(captum, name)(explainer, **settings)
        assert adapter.has_convergence_delta() is there
        if not there:
            needs = {"baselines": x} if name == "ExpectedGradients" else {}
            with pytest.raises(InputError, match="convergence delta"):
                adapter.attribute(x, target=1, return_convergence_delta=True, **needs)
            return
        values, delta = adapter.attribute(x, target=1, return_convergence_delta=True)
        result = explainer.attribute(x.numpy(), 1, getattr(methods, name)(**settings))
        assert values.shape == x.shape and delta.shape == (4,)
        if result.end_score is not None:
            change = result.score.astype(np.float64) - result.end_score
            np.testing.assert_allclose(np.abs(delta.numpy()), result.error_rate * np.abs(change), atol=1e-7)
        else:
            assert (delta.abs() < 1e-3).all()


def test_noise_tunnel_is_captums_own(unbounded, network, x):
    """The same noise, from the same seed, on Captum's Saliency and on ours."""

    def smoothed(saliency, **settings):
        torch.manual_seed(5)
        return attr.NoiseTunnel(saliency).attribute(x, nt_samples=6, stdevs=0.3, target=1, **settings)

    theirs = smoothed(attr.Saliency(lambda v: torch.softmax(network(v), 1)), abs=False)
    ours = smoothed(captum.Saliency(unbounded), absolute=False)
    assert (ours - theirs).norm() < 1e-5 * theirs.norm()


def test_noise_tunnel_with_baselines_targets_and_delta(unbounded, network, x):
    def smoothed(method, **settings):
        torch.manual_seed(5)
        tunnel = attr.NoiseTunnel(method)
        return tunnel.attribute(
            x,
            nt_samples=4,
            nt_samples_batch_size=3,
            stdevs=0.1,
            baselines=x / 2,
            target=torch.tensor([0, 1, 2, 3]),
            return_convergence_delta=True,
            **settings,
        )

    theirs, gaps = smoothed(attr.IntegratedGradients(lambda v: torch.softmax(network(v), 1)), n_steps=8)
    ours, deltas = smoothed(captum.IntegratedGradients(unbounded), steps=8, rule="gauss-legendre")
    assert (ours - theirs).norm() < 1e-5 * theirs.norm()
    torch.testing.assert_close(deltas, gaps.to(deltas), atol=1e-6, rtol=0)


def test_noise_that_leaves_the_range_is_clipped_with_a_warning(explainer, x):
    tunnel = attr.NoiseTunnel(captum.MFABA(explainer))
    with pytest.warns(RuntimeWarning, match=r"inputs range from -.* from 0\.0 to 1\.0: what lies outside"):
        smoothed = tunnel.attribute(x, nt_samples=3, stdevs=0.5, target=1)
    assert smoothed.shape == x.shape and smoothed.isfinite().all()
    with pytest.warns(RuntimeWarning, match="clipped"):
        beyond = captum.Saliency(explainer).attribute(x + 5, target=1)
    assert torch.equal(beyond, captum.Saliency(explainer).attribute(torch.ones_like(x), target=1))


@pytest.mark.filterwarnings("ignore:inputs range from")
def test_captums_metrics(explainer, network, x):
    mfaba = captum.MFABA(explainer)
    values = mfaba.attribute(x, target=1)

    def moved(inputs):
        noise = 0.05 * torch.rand_like(inputs)
        return noise, (inputs - noise).clamp(0, 1)

    def infidelity(forward):
        torch.manual_seed(2)
        return metrics.infidelity(forward, moved, x, values, target=1, n_perturb_samples=4)

    theirs = infidelity(lambda v: torch.softmax(network(v), 1))
    torch.testing.assert_close(infidelity(mfaba.forward_func), theirs, atol=1e-7, rtol=1e-4)
    worst = metrics.sensitivity_max(mfaba.attribute, x, target=1, n_perturb_samples=3, step_size=0.02)
    assert worst.shape == (4,) and (worst > 0).all()


def test_captums_pictures(explainer, x):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    from captum.attr import visualization

    values = captum.NeFLAG(explainer, n=2).attribute(x, target=1)
    rows = [v[0].permute(1, 2, 0).numpy() for v in (values, x)]
    figure, _ = visualization.visualize_image_attr(*rows, method="blended_heat_map", use_pyplot=False)
    assert figure.axes
    pyplot.close(figure)


def test_a_method_of_ones_own(explainer, x):
    class Twice(captum.MethodAttribution):
        method = methods.InputXGradient

    given = Twice(explainer).attribute(x, 1)
    assert torch.equal(given, captum.InputXGradient(explainer).attribute(x, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e, x: captum.MFABA(e, sigma=1), "MFABA has no setting 'sigma'"),
        (lambda e, x: captum.MFABA(e).attribute(x, 1, sigma=1), "MFABA has no setting 'sigma'"),
        (lambda e, x: captum.MFABA(e).attribute(x, 1, rule="up"), "rule"),
        (lambda e, x: captum.LPI(e).attribute(x), "LPI needs the setting 'references'"),
        (lambda e, x: captum.MFABA(e).attribute(x.numpy()), "inputs must be a tensor of floats .* ndarray"),
        (lambda e, x: captum.MFABA(e).attribute((x, x)), "a tuple of 2; the model's further inputs"),
        (lambda e, x: captum.MFABA(e).attribute((x * 255).byte()), "uint8"),
        (lambda e, x: captum.MFABA(e).attribute(x, 5), "target 5 is not a class"),
        (lambda e, x: captum.MFABA(e).attribute(x, [1, 2]), r"target has shape \[2\]"),
        (lambda e, x: captum.MFABA(e).attribute(x[:, :2]), "images have shape"),
        (lambda e, x: captum.MFABA(e).attribute(x[:0]), "images are empty"),
        (lambda e, x: captum.MFABA(e).attribute(x / 0), "NaN or infinity"),
        (lambda e, x: captum.MFABA(e).attribute(x, 1, x), "has 0 further inputs"),
        (lambda e, x: captum.IntegratedGradients(e).attribute(x, x[:3]), "3 baselines for 4 images"),
        (lambda e, x: captum.IntegratedGradients(e).attribute(x, x[0, 0]), "baseline has shape"),
    ],
)
def test_mistakes_end_in_a_sentence(explainer, x, call, message):
    with pytest.raises(InputError, match=message):
        call(explainer, x)


def test_without_captum_it_works_on_tensors(files):
    script = (
        "import sys; sys.modules['captum'] = None\n"
        "import torch\n"
        "from fluxpath.runtime import Explainer\n"
        "from fluxpath.runtime.captum import MFABA\n"
        f"with Explainer({str(files())!r}, threads=1) as explainer:\n"
        "    assert MFABA(explainer).attribute(torch.rand(2, 3, 8, 8), target=1).shape == (2, 3, 8, 8)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("wrong", [None, "model.grad.onnx", torch.nn.Flatten()])
def test_it_needs_an_explainer(wrong):
    with pytest.raises(InputError, match=r"explainer is .*, it must be an open fluxpath"):
        captum.Saliency(wrong)
