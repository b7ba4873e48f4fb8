"""The deletion score against a plain twin, and pixel flipping against Quantus."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured
from metric_twins import area, game, pixel_order
from quantus_model import quantus_of

from fluxpath.runtime.metrics import Deletion


@pytest.mark.parametrize("steps", [7, 80])
@pytest.mark.parametrize("level", [0.0, 0.6])
def test_it_is_its_twin(level, steps):
    model = Small()
    for case in cases(model, 2):
        image = case.image.astype(np.float64)
        score = lambda x: model.probability(x, case.target)  # noqa: B023, E731
        expected = game(image, 0 * image + level, pixel_order(case.values), steps, score, remove=True)
        assert measured(model, case, Deletion(level, steps)).value == pytest.approx(expected, abs=1e-6)


def test_less_is_better():
    assert Deletion.better == "lower"


@pytest.mark.filterwarnings("ignore")  # Quantus' own
def test_pixel_flipping_is_quantus_pixel_flipping():
    """Quantus flips numbers, not pixels, gives no point at the image itself, and divides by nothing.

    Its "black" is the lowest number in the image, not the lowest that there can be: 0 is passed here. RISE's
    and our black does not depend on the image, so that is the right one for a comparison of images.
    """
    quantus, network = quantus_of(Small((1, 8, 10)))
    model = Small((1, 8, 10))
    several = cases(model, 3)
    flipping = quantus.PixelFlipping(
        features_in_step=4, perturb_baseline=0.0, abs=False, normalise=False, disable_warnings=True
    )
    curves = flipping(
        model=network,
        x_batch=np.stack([case.image for case in several]),
        y_batch=np.array([case.target for case in several]),
        a_batch=np.stack([case.values for case in several]),
        softmax=True,
    )
    for case, curve in zip(several, curves, strict=True):
        found = measured(model, case, Deletion("black", 20))
        assert np.allclose(found.curves["probability"][1:], curve, atol=1e-6)
        x = np.linspace(0, 1, 21).tolist()
        whole = [model.probability(case.image, case.target), *curve]
        assert found.value == pytest.approx(area(x, whole), abs=1e-6)
