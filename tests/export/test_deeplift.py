"""DeepLIFT's rescale rule: against its equations in float64, its completeness, and Captum."""

from __future__ import annotations

import warnings

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import InputError, ModelError, UnsupportedOperatorError
from fluxpath.export import gradient_from_onnx, gradient_from_torch, verify
from fluxpath.runtime import MFABA, DeepLIFT, Explainer

DENSE = "h = Gemm(x, a) r = {}(h) k = Gemm(r, b) t = Tanh(k) y = Gemm(t, c)"
WEIGHTS = {"a": (6, 8), "b": (8, 7), "c": (7, 4)}
FUNCTIONS = {
    "Relu": lambda v: np.maximum(v, 0),
    "Sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    "Softplus": lambda v: np.log1p(np.exp(v)),
    "Elu": lambda v: np.where(v > 0, v, np.expm1(v)),
    "LeakyRelu": lambda v: np.where(v > 0, v, 0.01 * v),
}


def _weights(model):
    return {i.name: onnx.numpy_helper.to_array(i).astype(np.float64) for i in model.graph.initializer}


def _completeness(path, images, target, baseline):
    """The largest gap between the attributions' sum and the difference of the scores."""
    with Explainer(path) as explainer:
        result = explainer.attribute(images, target, DeepLIFT())
        start = explainer.attribute(np.broadcast_to(baseline, images.shape), target, DeepLIFT())
    sums = result.values.reshape(len(images), -1).sum(1)
    return np.abs(sums - (result.score - start.score)).max()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_multipliers_are_those_of_the_equations(name, tmp_path):
    model = gradcheck.parse(DENSE.format(name), "batch,6", **WEIGHTS)
    x0 = np.linspace(0.1, 0.9, 6).astype(np.float32)
    done = small.export(model, tmp_path, objective="logit", rules="deeplift", baseline=x0)
    x, w, f = small.images(5, 6), _weights(model), FUNCTIONS[name]
    h, h0 = x @ w["a"], x0 @ w["a"]
    k, k0 = f(h) @ w["b"], f(h0) @ w["b"]
    m = w["c"][:, 2] * (np.tanh(k) - np.tanh(k0)) / (k - k0)
    m = (m @ w["b"].T) * (f(h) - f(h0)) / (h - h0)
    wanted = m @ w["a"].T * (x - x0)
    with Explainer(done.path) as explainer:
        given = explainer.attribute(x, 2, DeepLIFT()).values
    np.testing.assert_allclose(given, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


def test_at_the_baseline_multipliers_are_the_gradient(tmp_path):
    model = gradcheck.parse(DENSE.format("Sigmoid"), "batch,6", **WEIGHTS)
    x = small.images(1, 6)
    plain = small.run(small.export(model, tmp_path, objective="logit").path, x, 1)["gradient"]
    lifted = small.export(model, tmp_path, objective="logit", rules="deeplift", baseline=x[0])
    np.testing.assert_allclose(small.run(lifted.path, x, 1)["gradient"], plain, rtol=1e-5)


@pytest.mark.parametrize(
    "nodes",
    ["m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x) f = Flatten(m) y = Gemm(f, v)",
     "s = Sigmoid(x) p = Mul(x, s) m = GlobalAveragePool(p) f = Flatten(m) y = Gemm(f, u)"],
)  # fmt: skip
def test_pooling_and_products_are_complete(nodes, tmp_path):
    model = gradcheck.parse(nodes, "batch,3,4,4", v=(12, 5), u=(3, 5))
    weights = {"v", "u"} & {n for node in model.graph.node for n in node.input}
    model = gradcheck.parse(nodes, "batch,3,4,4", **{n: {"v": (12, 5), "u": (3, 5)}[n] for n in weights})
    done = small.export(model, tmp_path, objective="logit", rules="deeplift", baseline=0.5)
    assert _completeness(done.path, small.images(6), 3, np.float32(0.5)) < 1e-5
    assert verify(done.path).error < 1e-4


def test_a_method_refuses_the_other_kind_of_file(tmp_path):
    lifted = small.export(small.cnn(), tmp_path, objective="logit", rules="deeplift")
    with (
        Explainer(lifted.path) as explainer,
        pytest.raises(InputError, match=r"MFABA needs .*--rules gradient"),
    ):
        explainer.attribute(small.images(1), 0, MFABA())
    plain = small.export(small.cnn(), tmp_path, objective="logit")
    with (
        Explainer(plain.path) as explainer,
        pytest.raises(InputError, match=r"DeepLIFT needs .*--rules deeplift"),
    ):
        explainer.attribute(small.images(1), 0, DeepLIFT())


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"objective": "softmax"}, "take 'logit'"),
     ({"rules": "lrp"}, "there are no rules 'lrp'"),
     ({"baseline": np.zeros((3, 5, 5))}, "baseline has shape"),
     ({"baseline": np.nan}, "finite"),
     ({"precision": "float16"}, "float32")],
)  # fmt: skip
def test_wrong_settings_are_one_sentence(settings, message, tmp_path):
    with pytest.raises(ModelError, match=message):
        small.export(small.cnn(), tmp_path, **{"objective": "logit", "rules": "deeplift", **settings})
    assert not (tmp_path / "model.grad.onnx").exists()


def test_an_operator_without_a_rescale_rule_is_named(tmp_path):
    model = gradcheck.parse("h = Gemm(x, a) s = Softmax(h) y = Gemm(s, b)", "batch,6", a=(6, 8), b=(8, 4))
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(UnsupportedOperatorError, match=r"Softmax.*no rescale rule"):
        gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", objective="logit", rules="deeplift")


def test_agrees_with_captum(tmp_path):
    torch = pytest.importorskip("torch")
    captum = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1), nn.MaxPool2d(2),
        nn.Conv2d(6, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(20, 9), nn.Sigmoid(), nn.Linear(9, 3),
    ).eval()  # fmt: skip
    x = np.random.default_rng(1).random((4, 2, 8, 8)).astype(np.float32)
    done = gradient_from_torch(
        module,
        torch.zeros(1, 2, 8, 8),
        tmp_path / "g.onnx",
        objective="logit",
        rules="deeplift",
        baseline=0.25,
    )
    with Explainer(done.path) as explainer:
        given = explainer.attribute(x, 1, DeepLIFT()).values
    double = module.double()
    images = torch.from_numpy(x).double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = captum.DeepLift(double).attribute(images, torch.full_like(images, 0.25), target=1)
    wanted = wanted.detach().numpy()
    assert np.linalg.norm(given - wanted) < 1e-4 * np.linalg.norm(wanted)


def test_a_pooling_of_rectified_zeros_is_complete(tmp_path):
    """Captum 0.9 is not, where a nonlinearity stands next to a maximum: its sums miss the change of score."""
    torch = pytest.importorskip("torch")
    captum = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, 3)
    ).eval()  # fmt: skip
    x = np.random.default_rng(1).random((4, 2, 8, 8)).astype(np.float32)
    options = {"objective": "logit", "rules": "deeplift", "baseline": 0.25}
    done = gradient_from_torch(module, torch.zeros(1, 2, 8, 8), tmp_path / "g.onnx", **options)
    with Explainer(done.path) as explainer:
        given = explainer.attribute(x, 1, DeepLIFT()).values
    double, images = module.double(), torch.from_numpy(x).double()
    baseline = torch.full_like(images, 0.25)
    change = (double(images) - double(baseline))[:, 1].detach().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = captum.DeepLift(double).attribute(images, baseline, target=1).detach().numpy()
    ours, other = (np.abs(v.reshape(4, -1).sum(1) - change).max() for v in (given, theirs))
    assert ours < 1e-6 < 1e-3 < other
