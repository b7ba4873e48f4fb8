"""Models that give nothing to go by: no gradient, NaN, or less than float32 can express.

A status says so, and no value is ever NaN.
"""

from __future__ import annotations

import models
import numpy as np
import pytest
from cuda_on_cpu import HostDevice

from fluxpath.runtime import (
    AGI,
    BIG,
    LPI,
    MFABA,
    ExpectedGradients,
    Explainer,
    GuidedIG,
    InputXGradient,
    IntegratedGradients,
    NeFLAG,
    Saliency,
    SmoothGrad,
    Status,
)
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession

WALKS = [
    *(MFABA(a, r, p) for a in ("sharp", "smooth") for r in ("trapezoid", "left")
      for p in ("taylor", "norm", "cosine")),
    MFABA(step_size=0.1),
    MFABA("smooth", step_size=0.001),
    NeFLAG(n=2),
    NeFLAG(n=2, radius=0.1),
    NeFLAG(n=2, radius=0.1, stop="label"),
    AGI(classes=2),
    BIG(integration_steps=10),
]  # fmt: skip


@pytest.mark.parametrize("method", WALKS, ids=repr)
def test_a_zero_gradient_is_a_status_and_zeros(graph, method):
    with Explainer(graph("flat"), threads=1) as explainer:
        result = explainer.attribute(models.images("flat", 3), None, method)
    assert result.status.tolist() == [Status.ZERO_GRADIENT] * 3
    assert result.steps.tolist() == [0, 0, 0] and result.score.tolist() == [0.25] * 3
    assert not result.values.any() and np.isfinite(result.values).all()


@pytest.mark.parametrize("method", WALKS, ids=repr)
def test_nan_from_the_model_is_a_status_and_zeros_and_stays_with_its_image(graph, method):
    images = models.images("hole", 3)
    images[1] = 0.0
    with Explainer(graph("hole"), threads=1) as explainer:
        result = explainer.attribute(images, None, method)
        wanted = explainer.attribute(images[[0, 2]], None, method)
    assert result.status[1] == Status.NON_FINITE
    assert not result.values[1].any() and np.isfinite(result.values).all()
    np.testing.assert_allclose(result.values[[0, 2]], wanted.values, rtol=1e-4, atol=1e-9)
    assert Status.NON_FINITE not in wanted.status


BLACK = np.zeros((2, 1, 6, 6), np.float32)
POINTS = [
    *(Saliency(absolute) for absolute in (True, False)),
    InputXGradient(),
    *(
        IntegratedGradients(4, rule, 0.5)
        for rule in ("trapezoid", "left", "right", "middle", "gauss-legendre")
    ),
    *(SmoothGrad(n=3, variant=variant) for variant in ("mean", "squared", "variance")),
    ExpectedGradients(BLACK, n=3),
    LPI(BLACK),
]
ALL = [*POINTS, *WALKS[:-1], GuidedIG(steps=5), GuidedIG(steps=5, max_dist=1.0)]
"""All but BIG, which takes no gradient into its sum where it finds no boundary."""


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_what_float32_cannot_express_is_a_status_and_zeros(graph, method):
    """The probability is saturated, at logits 177 apart; every gradient is there."""
    images = models.images("surest", 3)
    with Explainer(graph("surest"), threads=1, slots=5) as explainer:
        result = explainer.attribute(images, None, method)
        among = explainer.submit(images, [0, 1, 0], method), explainer.submit(images, 2, MFABA(max_steps=3))
        assert among[0].result(20).status.tolist() == [Status.UNDERFLOW] * 3
        among[1].result(20)
    assert result.status.tolist() == [Status.UNDERFLOW] * 3 and not result.values.any()
    assert result.score.tolist() == [1.0] * 3 and result.label.tolist() == [0] * 3
    with Explainer(graph("sure"), threads=1) as explainer:  # where float32 can
        less = explainer.attribute(images, None, method)
    assert less.values.any(axis=(1, 2, 3)).all() and Status.UNDERFLOW not in less.status
    assert less.steps.tolist() == result.steps.tolist()


@pytest.mark.parametrize(
    "method",
    [
        *(Saliency(), IntegratedGradients(4), SmoothGrad(n=3, variant="variance"), NeFLAG(n=2, max_steps=3)),
        *(MFABA(max_steps=3), MFABA(path="norm", max_steps=3), AGI(classes=1), GuidedIG(steps=5)),
    ],
    ids=repr,
)
def test_a_device_says_so_too(graph, method):
    session = OnnxDeviceSession(graph("surest"), HostDevice(), Options(providers=opening.CPU, threads=1))
    with Explainer.from_session(session, slots=5) as there:
        result = there.attribute(models.images("surest", 3), None, method)
    assert result.status.tolist() == [Status.UNDERFLOW] * 3 and not result.values.any()


@pytest.mark.parametrize("method", [*ALL, *WALKS], ids=repr)
@pytest.mark.parametrize("name", ["surest_flat", "flat"])
def test_zeros_of_a_model_without_gradient_are_right(graph, name, method):
    with Explainer(graph(name), threads=1) as explainer:
        result = explainer.attribute(models.images(name, 2), None, method)
    end = Status.COMPLETE if method in POINTS else Status.ZERO_GRADIENT
    assert result.status.tolist() == [end] * 2 and not result.values.any()


@pytest.mark.parametrize(
    ("method", "status"),
    [
        (InputXGradient(), Status.COMPLETE),  # the image is zero
        (IntegratedGradients(), Status.COMPLETE),  # it is the baseline
        (ExpectedGradients(BLACK), Status.COMPLETE),
        (LPI(BLACK), Status.COMPLETE),
        (SmoothGrad(n=1, variant="variance"), Status.COMPLETE),  # of one sample
        (BIG(), Status.MAX_STEPS),  # there is no boundary near
    ],
    ids=repr,
)
def test_what_is_zero_in_any_units_keeps_its_status(graph, method, status):
    with Explainer(graph("surest"), threads=1) as explainer:
        result = explainer.attribute(BLACK, None, method)
    assert result.status.tolist() == [status] * 2 and not result.values.any()


def test_only_squares_can_be_too_small(graph):
    wanted = {"mean": Status.COMPLETE, "squared": Status.UNDERFLOW, "variance": Status.UNDERFLOW}
    with Explainer(graph("surer"), threads=1) as explainer:
        for variant, status in wanted.items():
            result = explainer.attribute(models.images("surer", 2), None, SmoothGrad(n=3, variant=variant))
            assert result.status.tolist() == [status] * 2
            assert result.values.any() == (status == Status.COMPLETE)


def test_a_step_over_the_boundary_from_where_the_scale_is_zero(graph):
    """The left rule takes the gradient before the step alone."""
    images = models.images("steep", 3)
    with Explainer(graph("steep"), threads=1) as explainer:
        result = explainer.attribute(images, None, MFABA(rule="left", step_size=2.0))
        assert result.status.tolist() == [Status.UNDERFLOW] * 3 and not result.values.any()


def test_one_image_does_not_bother_another(graph):
    """Images with and without are explained as alone, and a linear model in other units has no underflow."""
    images = models.images("steep", 6)
    images[[1, 4]] = 0.5  # on the boundary
    with Explainer(graph("steep"), threads=1, slots=3) as explainer:
        result = explainer.attribute(images, 0, Saliency())
    assert (result.status == Status.UNDERFLOW).tolist() == [True, False, True, True, False, True]
    assert result.values.any(axis=(1, 2, 3)).tolist() == [False, True, False, False, True, False]
    with Explainer(graph("surest", objective="logit"), threads=1) as explainer:
        for variant, some in (("mean", True), ("variance", False)):
            result = explainer.attribute(images, None, SmoothGrad(n=3, variant=variant))
            assert set(result.status) == {Status.COMPLETE} and result.values.any() == some
