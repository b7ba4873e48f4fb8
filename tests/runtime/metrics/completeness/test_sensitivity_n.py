"""Sensitivity-n against a plain twin, and what Quantus computes under that name."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured, probes, with_values
from metric_twins import pearson, pixel_order
from quantus_model import quantus_of

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import SensitivityN


@pytest.mark.parametrize("objective", ["softmax", "logit"])
def test_it_is_its_twin(objective):
    model = Small(objective=objective)
    for case in cases(model, 2):
        metric = SensitivityN((0.05, 0.5), samples=6, substrate="mean")
        images = probes(metric, case)
        score = model.probability if objective == "softmax" else lambda x, t: model.logits(x)[t]
        drops, sums = [], []
        for image in images[1:]:
            removed = (image != case.image).any(axis=0)
            assert removed.sum() == (4 if len(drops) < 6 else 40)
            drops.append(score(case.image, case.target) - score(image, case.target))
            sums.append(float(case.values.astype(np.float64)[:, removed].sum()))
        each = [pearson(sums[k : k + 6], drops[k : k + 6]) for k in (0, 6)]
        found = measured(model, case, metric)
        assert found.value == pytest.approx(sum(each) / 2, abs=1e-6)
        assert np.allclose(found.curves["correlation"], each, atol=1e-6)


def test_an_exact_explanation_has_one():
    """Of a linear score, gradient times the distance to the substrate."""
    model = Small(objective="logit")
    model.logits = lambda image: np.tensordot(weights, image.astype(np.float64), 3) * np.arange(4.0)
    weights = np.random.default_rng(0).standard_normal((3, 8, 10))
    (case,) = cases(model, 1)
    exact = with_values(case, weights * case.image * case.target)
    assert measured(model, exact, SensitivityN()).value == pytest.approx(1, abs=1e-5)
    constant = measured(model, with_values(case, 0 * weights), SensitivityN())
    assert np.isnan(constant.value)


def test_sets_are_random_and_the_cases_own():
    first, second = cases(Small(), 2)
    metric = SensitivityN((0.1,), samples=5)
    sets = [tuple(np.flatnonzero(i != c.image)) for c in (first, second) for i in probes(metric, c)[1:]]
    assert len(set(sets)) == 10


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"fractions": (2.0,)}, "fractions is 2.0"),
        ({"fractions": ()}, "fractions are none"),
        ({"samples": 2}, "samples is 2"),
        ({"substrate": "linear"}, "it must be one that does not depend on what is removed"),
        ({"substrate": "x"}, "substrate is 'x'"),
    ],
)
def test_settings_are_checked(settings, what):
    with pytest.raises(InputError, match=what):
        SensitivityN(**settings)
    assert SensitivityN(fractions=0.3).fractions == (0.3,)


@pytest.mark.filterwarnings("ignore")  # Quantus' own
def test_quantus_computes_something_else():
    """It removes pixels from the most relevant on, set inside set, and correlates the images of a batch.

    Ancona et al. correlate random sets of n pixels of one image: ours does, Quantus' does not. What it does
    compute is written out here, so that the difference is known and not guessed.
    """
    quantus, network = quantus_of(Small((1, 8, 10)))
    model = Small((1, 8, 10))
    several = cases(model, 5)
    test = quantus.SensitivityN(
        features_in_step=8, n_max_percentage=0.8, perturb_baseline=0.0, normalise=False, disable_warnings=True
    )
    found = test(
        model=network,
        x_batch=np.stack([case.image for case in several]),
        y_batch=np.array([case.target for case in several]),
        a_batch=np.stack([case.values for case in several]),
        softmax=True,
    )
    expected = []
    for step in range(8):
        drops, sums = [], []
        for case in several:
            order = pixel_order(case.values)
            image = case.image.reshape(-1).astype(np.float64)
            image[order[: 8 * step + 8]] = 0
            drops.append(
                model.probability(case.image, case.target)
                - model.probability(image.reshape(1, 8, 10), case.target)
            )
            sums.append(float(case.values.reshape(-1)[order[8 * step : 8 * step + 8]].sum()))
        expected.append(pearson(drops, sums))
    assert np.allclose(found, np.mean(expected), atol=1e-4)
