"""Models that give nothing to go by: no gradient, or NaN. A status says so, and no value is ever NaN."""

from __future__ import annotations

import models
import numpy as np
import pytest

from fluxpath.runtime import AGI, BIG, MFABA, Explainer, NeFLAG, Status

WALKS = [
    *(MFABA(a, r, p) for a in ("sharp", "smooth") for r in ("trapezoid", "left")
      for p in ("taylor", "norm", "cosine")),
    NeFLAG(n=2),
    NeFLAG(n=2, stop="label"),
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
