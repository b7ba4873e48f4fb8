"""Captum's tensors, targets and further inputs, as fluxpath takes them."""

from __future__ import annotations

import warnings

import gradcheck
import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    attr = pytest.importorskip("captum.attr", exc_type=ImportError)

from fluxpath.errors import InputError  # noqa: E402
from fluxpath.export import gradient_from_onnx  # noqa: E402
from fluxpath.runtime import Explainer, captum, methods  # noqa: E402


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_result_has_the_inputs_dtype_and_its_form(explainer, x, dtype):
    x = x.to(dtype).requires_grad_()
    saliency = captum.Saliency(explainer)
    alone, several = saliency.attribute(x, target=1), saliency.attribute((x,), target=1)
    assert alone.dtype == dtype and alone.shape == x.shape and not alone.requires_grad
    assert isinstance(several, tuple) and len(several) == 1 and torch.equal(several[0], alone)
    wanted = explainer.attribute(x.detach().float().numpy(), 1, methods.Saliency()).values
    assert torch.equal(alone, torch.from_numpy(wanted).to(dtype))


@pytest.mark.parametrize(
    ("given", "means"),
    [
        (2, 2),
        (torch.tensor(2), 2),
        (torch.tensor([2]), 2),
        ([2], 2),
        ((2,), 2),
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ((0, 1, 2, 3), [0, 1, 2, 3]),
        (torch.tensor([0, 1, 2, 3]), [0, 1, 2, 3]),
        (None, None),
    ],
    ids=str,
)
def test_targets(explainer, x, given, means):
    found = captum.InputXGradient(explainer).attribute(x, given)
    wanted = explainer.attribute(x.numpy(), means, methods.InputXGradient()).values
    np.testing.assert_array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("objective", ["softmax", "log_softmax", "sigmoid", "logit", "margin"])
def test_the_forward_function_is_the_objective(files, x, objective):
    with Explainer(files(objective), threads=1) as explainer:
        values = captum.Saliency(explainer).forward_func(x)
        assert values.shape == (4, 5) and values.dtype == x.dtype
        for target in range(5):
            score = explainer.attribute(x.numpy(), target, methods.Saliency()).score
            np.testing.assert_allclose(values[:, target], score, rtol=1e-5, atol=1e-6)


def test_further_inputs_are_further_arguments(tmp_path):
    text = "m = Mul(x, mask) y = MatMul(m, v)"
    onnx.save(gradcheck.parse(text, "n,5", inputs="float[n,5] mask", v=(5, 3)), tmp_path / "m.onnx")
    gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", input="x")
    x, mask = torch.rand(3, 5), torch.eye(3, 5)
    with Explainer(tmp_path / "g.onnx", threads=1) as explainer:
        saliency, forward = captum.Saliency(explainer), captum.Saliency(explainer).forward_func
        wanted = explainer.attribute(x.numpy(), 0, methods.Saliency(), inputs={"mask": mask.numpy()}).values
        for passed in (mask, (mask,)):
            np.testing.assert_array_equal(saliency.attribute(x, 0, passed).numpy(), wanted)
        assert not torch.equal(forward(x, mask), forward(x, torch.ones_like(x)))
        along = captum.IntegratedGradients(explainer, rule="gauss-legendre", steps=9)
        _, delta = along.attribute(x, x / 2, 0, mask, return_convergence_delta=True)
        assert delta.shape == (3,) and (delta.abs() < 1e-5).all()
        tunnel = attr.NoiseTunnel(saliency)
        moved = tunnel.attribute(
            x * 0 + 0.5, nt_samples=2, stdevs=0.01, target=0, additional_forward_args=mask
        )
        assert moved.shape == x.shape
        with pytest.raises(InputError, match="additional_forward_args has 0"):
            saliency.attribute(x, 0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_tensors_of_a_gpu(explainer, x):
    given = captum.MFABA(explainer).attribute(x.cuda(), target=1)
    assert given.device.type == "cuda"
    np.testing.assert_array_equal(given.cpu().numpy(), explainer.attribute(x.numpy(), 1).values)


@pytest.mark.parametrize("shape", [(3, 8, 8), (4, 3, 8), (2, 8, 8, 3), (4,), ()])
def test_a_wrong_shape_is_named_beside_the_right_one(explainer, shape):
    wrong = torch.zeros(shape)
    for asked in (lambda: captum.Saliency(explainer).attribute(wrong, target=1),
                  lambda: captum.Saliency(explainer).forward_func(wrong)):  # fmt: skip
        with pytest.raises(InputError, match=r"images have shape \[.*\], and must have \[n, 3, 8, 8\]"):
            asked()
