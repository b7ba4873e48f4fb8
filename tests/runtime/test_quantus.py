"""fluxpath.runtime.quantus in the real Quantus: the same scores as with Captum on the torch module."""

from __future__ import annotations

import subprocess
import sys
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    quantus = pytest.importorskip("quantus", reason="Quantus is not installed", exc_type=ImportError)
    from captum import attr

from fluxpath.errors import InputError  # noqa: E402
from fluxpath.export import gradient_from_torch  # noqa: E402
from fluxpath.runtime import MFABA, Explainer, InputXGradient, Saliency  # noqa: E402
from fluxpath.runtime.quantus import explain_func, model  # noqa: E402

SHAPE = (3, 8, 8)
QUIET = {"disable_warnings": True, "display_progressbar": False}
pytestmark = [
    pytest.mark.filterwarnings("ignore:The combination of the value"),
    pytest.mark.filterwarnings("ignore:An image was automatically normalised"),
]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 36, 5)]
    return torch.nn.Sequential(*layers).eval()


@pytest.fixture(scope="module")
def path(network, tmp_path_factory):
    written = tmp_path_factory.mktemp("quantus") / "network.grad.onnx"
    gradient_from_torch(network, torch.zeros(1, *SHAPE), written, objective="softmax")
    return written


@pytest.fixture(scope="module")
def explainer(path):
    with Explainer(path, threads=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.random((4, *SHAPE), np.float32), np.array([0, 1, 2, 3])


def captums(model, inputs, targets, **_):
    """Captum's Input x Gradient of the softmax probability, as an `explain_func`."""
    method = attr.InputXGradient(lambda v: torch.softmax(model(v), 1))
    x = torch.from_numpy(np.asarray(inputs, np.float32)).requires_grad_()
    return method.attribute(x, target=torch.as_tensor(targets)).detach().numpy()


@pytest.mark.parametrize(
    "metric",
    [
        lambda: quantus.PixelFlipping(features_in_step=16, perturb_baseline="black", **QUIET),
        lambda: quantus.FaithfulnessCorrelation(nr_runs=10, subset_size=20, **QUIET),
        lambda: quantus.Sparseness(**QUIET),
        lambda: quantus.Complexity(**QUIET),
        lambda: quantus.MaxSensitivity(nr_samples=2, lower_bound=0.001, **QUIET),
        lambda: quantus.RandomLogit(num_classes=5, seed=1, **QUIET),
    ],
    ids=[
        "PixelFlipping",
        "FaithfulnessCorrelation",
        "Sparseness",
        "Complexity",
        "MaxSensitivity",
        "RandomLogit",
    ],
)
@pytest.mark.filterwarnings("ignore:inputs range from")
def test_scores_are_those_of_the_torch_module(explainer, network, data, metric):
    made = [metric(), metric()]
    scores = []
    for one, (by, explain) in zip(
        made,
        [(network, captums), (model(explainer), explain_func(explainer, "input-x-gradient"))],
        strict=True,
    ):
        np.random.seed(0)  # noqa: NPY002 - Quantus draws from it
        scores.append(one(model=by, x_batch=data[0], y_batch=data[1], a_batch=None, explain_func=explain))
    np.testing.assert_allclose(np.array(scores[1], float), np.array(scores[0], float), rtol=1e-3, atol=1e-5)


def test_every_form_of_a_method_and_its_settings(explainer, data):
    x, y = data
    wanted = explainer.attribute(x, y, MFABA(ascent="smooth", step_size=0.02)).values
    for explain, kwargs in [
        (explain_func(explainer, "mfaba-smooth", step_size=0.02), {}),
        (explain_func(explainer, MFABA, ascent="smooth", step_size=0.02), {}),
        (explain_func(explainer, MFABA(ascent="smooth", step_size=0.02)), {}),
        (explain_func(explainer, MFABA(ascent="smooth")), {"step_size": 0.02}),
        (explain_func(explainer, ascent="smooth", step_size=0.5), {"step_size": 0.02, "device": "cpu"}),
    ]:
        found = explain(None, x, y, **kwargs)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(
        explain_func(explainer, Saliency)(model=None, inputs=x[:1].astype(np.float64), targets=y[:1, None]),
        explainer.attribute(x[:1], 0, Saliency()).values,
    )


def test_evaluate_names_methods_and_settings(explainer, data):
    results = quantus.evaluate(
        metrics={"Sparseness": quantus.Sparseness(**QUIET)},
        xai_methods={
            "ours": explain_func(explainer, "neflag", n=2),
            "numbers": explainer.attribute(*data, InputXGradient()).values,
        },
        model=model(explainer),
        x_batch=data[0],
        y_batch=data[1],
        explain_func_kwargs={"radius": 0.03},
    )
    assert all(len(results[name]["Sparseness"]) == 4 for name in ("ours", "numbers"))


def test_the_model_is_the_forward_part(explainer, network, data):
    x = torch.from_numpy(data[0])
    torch.testing.assert_close(model(explainer)(x), network(x).detach(), rtol=1e-5, atol=1e-6)
    with pytest.warns(RuntimeWarning, match="clipped"):
        model(explainer)(x + 1)


def test_a_metric_that_draws_parameters_is_told(explainer, data):
    metric = quantus.MPRT(**QUIET)
    with pytest.raises(InputError, match="a file without parameters"):
        metric(model(explainer), *data, explain_func=explain_func(explainer, "saliency"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda e: explain_func(e, "mfaba"), "there is no method 'mfaba'"),
        (
            lambda e: explain_func(e, "saliency", n=3),
            "saliency has no setting 'n'|Saliency has no setting 'n'",
        ),
        (lambda e: explain_func(e, "lpi"), "needs the setting 'references'"),
        (lambda e: explain_func(e, 3), "method is 3, it must be"),
        (
            lambda e: explain_func(e)(None, np.ones((1, *SHAPE), np.float32), [0], sigma=1),
            "no setting 'sigma'",
        ),
        (lambda e: explain_func(e)(None, np.ones((1, 8, 8), np.float32), [0]), "images have shape"),
    ],
)
def test_mistakes_end_in_a_sentence(explainer, make, message):
    with pytest.raises(InputError, match=message):
        make(explainer)


def test_without_torch_explanations_alone_are_scored(path):
    """Quantus imports without torch, and takes model=None where a metric asks no model."""
    script = f"""
import importlib.util, sys, warnings
hidden, find = ("torch", "captum", "tensorflow"), importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in hidden else find(name, package)
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in hidden:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
warnings.simplefilter("ignore")
import numpy as np, quantus
from fluxpath.errors import InputError
from fluxpath.runtime import Explainer
from fluxpath.runtime.quantus import explain_func, model
with Explainer({str(path)!r}, threads=1) as explainer:
    x = np.random.default_rng(0).random((2, 3, 8, 8), np.float32)
    scores = quantus.Sparseness(display_progressbar=False)(
        None, x, np.array([0, 1]), explain_func=explain_func(explainer, "mfaba-sharp")
    )
    assert len(scores) == 2
    try:
        model(explainer)
    except InputError as error:
        assert "install torch" in str(error)
    else:
        raise AssertionError
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("made", [explain_func, model])
def test_it_needs_an_explainer(network, made):
    with pytest.raises(InputError, match=r"explainer is .*, it must be an open fluxpath"):
        made(network)
