"""Parameter randomisation, against Quantus with the same weights."""

from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
import small
from quantus_model import WHY

from fluxpath.errors import InputError
from fluxpath.export import randomised
from fluxpath.runtime import Explainer, Saliency
from fluxpath.runtime.fidelity import rank_correlation
from fluxpath.runtime.metrics import parameter_randomisation
from fluxpath.runtime.metrics.randomisation import Randomised


def test_rank_correlation_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for digits in (8, 1):
        a, b = np.round(rng.random((2, 50)), digits)
        assert rank_correlation(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert np.isnan(rank_correlation(np.ones(4), a[:4]))


def test_an_explanation_of_the_model_changes(tmp_path):
    model = small.cnn(dims="batch,3,8,8")
    with Explainer(small.export(model, tmp_path).path, threads=1) as explainer:
        images = small.images(4, 3, 8, 8)
        others = list(randomised(tmp_path / "model.onnx", tmp_path / "others", seed=1))
        found = parameter_randomisation(explainer, others, images, method=Saliency(absolute=False))
        assert found.layers == tuple(name for name, _ in others) and found.similarity.shape == (2, 4)
        assert (np.abs(found.similarity) < 0.9).any()
        same = parameter_randomisation(explainer, [("none", explainer)], images, method="saliency")
        assert np.allclose(same.similarity, 1) and explainer.predict(images).classes.any() is not None
        opened = ((name, Explainer(path, threads=1)) for name, path in others)
        again = parameter_randomisation(explainer, opened, images, method=Saliency(absolute=False))
        assert np.array_equal(again.similarity, found.similarity)
        assert np.array_equal(found.average, found.similarity.mean(axis=0))


def test_what_is_wrong_is_said(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.mkdir()
    second.mkdir()
    with (
        Explainer(small.export(small.cnn(dims="batch,3,8,8"), first).path, threads=1) as explainer,
        Explainer(small.export(small.cnn(), second).path, threads=1) as other,
    ):
        with pytest.raises(InputError, match=r"the model of layer 'x' has input \[3, 4, 4\] and 5 classes"):
            parameter_randomisation(explainer, [("x", other)], small.images(1, 3, 8, 8))
        with pytest.raises(InputError, match="there is no randomised model"):
            parameter_randomisation(explainer, [], small.images(1, 3, 8, 8))


@pytest.mark.filterwarnings("ignore")  # Quantus' own
def test_it_is_quantus_mprt(tmp_path):
    """The weights that Quantus drew, as ONNX models; gradients by torch there, by our files here."""
    quantus = pytest.importorskip("quantus", reason=WHY)
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(144, 5)
    ).eval()
    images, targets = small.images(3, 1, 8, 8), np.array([0, 3, 4])

    def explain(model, inputs, targets, **_):
        x = torch.from_numpy(np.asarray(inputs, np.float32)).requires_grad_()
        model(x)[range(len(x)), torch.from_numpy(np.asarray(targets))].sum().backward()
        return x.grad.numpy()

    drawn = []
    from quantus.helpers.model.pytorch_model import PyTorchModel

    for name, module in PyTorchModel(network).get_random_layer_generator(order="top_down", seed=42):
        drawn.append((name, copy.deepcopy(module)))
    test = quantus.MPRT(layer_order="top_down", seed=42, disable_warnings=True, display_progressbar=False)
    expected = test(
        model=network, x_batch=images, y_batch=targets, a_batch=None, explain_func=explain, softmax=False
    )

    def exported(number: int, module) -> Explainer:
        folder = tmp_path / str(number)
        folder.mkdir()
        weights = {key: value.detach().numpy() for key, value in module.state_dict().items()}
        text = "c = Conv(x, w, b) t = Tanh(c) f = Flatten(t) y = Gemm<transB = 1>(f, v, d)"
        names = dict(zip(("w", "b", "v", "d"), weights.values(), strict=True))
        model = small.gradcheck.parse(text, "batch,1,8,8", **{k: v.shape for k, v in names.items()})
        for tensor in model.graph.initializer:
            tensor.CopyFrom(onnx.numpy_helper.from_array(names[tensor.name], tensor.name))
        return Explainer(small.export(model, folder, objective="logit").path, threads=1)

    with exported(0, network) as explainer:
        others = [(name, exported(k, module)) for k, (name, module) in enumerate(drawn, 1)]
        found = parameter_randomisation(explainer, others, images, targets, Saliency(absolute=False))
    assert list(found.layers) == [name for name, _ in drawn] and len(found.layers) == 2
    for name, row in zip(found.layers, found.similarity, strict=True):
        assert np.allclose(row, expected[name], atol=1e-3)  # ranks of equal gradients in float32 can swap
    assert isinstance(found, Randomised)
