"""Infidelity against a plain twin, Captum and Quantus."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured, probes, with_values
from quantus_model import network, quantus_of

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import Infidelity
from fluxpath.runtime.metrics.completeness.infidelity import mean_square


@pytest.mark.parametrize("perturbation", ["noise", "square"])
@pytest.mark.parametrize("normalise", [True, False])
def test_it_is_its_twin(perturbation, normalise):
    model = Small()
    for case in cases(model, 2):
        metric = Infidelity(12, perturbation, normalise=normalise)
        said, drops = [], []
        for image in probes(metric, case)[1:]:
            moved = case.image.astype(np.float64) - image
            said.append(float((moved * case.values).sum()))
            drops.append(model.probability(case.image, case.target) - model.probability(image, case.target))
        factor = 1.0
        if normalise:
            factor = sum(a * b for a, b in zip(said, drops, strict=True)) / sum(a * a for a in said)
        expected = sum((factor * a - b) ** 2 for a, b in zip(said, drops, strict=True)) / 12
        assert measured(model, case, metric).value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_it_is_captums(normalise):
    captum, torch = pytest.importorskip("captum.metrics"), pytest.importorskip("torch")
    model = Small(objective="logit")
    module = network(model)
    for case in cases(model, 2):
        metric = Infidelity(9, normalise=normalise)
        moved = torch.from_numpy(np.stack(probes(metric, case)[1:]))
        image = torch.from_numpy(case.image[None])
        expected = captum.infidelity(
            module,
            lambda inputs: (inputs - moved, moved),  # noqa: B023
            image,
            torch.from_numpy(case.values[None]),
            target=case.target,
            n_perturb_samples=9,
            normalize=normalise,
        )
        assert measured(model, case, metric).value == pytest.approx(float(expected), rel=1e-3, abs=1e-5)


@pytest.mark.filterwarnings("ignore")  # Quantus' own
def test_quantus_never_restores_a_patch():
    """Its perturbations are patch upon patch; with those, its number is our mean square.

    Yeh et al. draw each perturbation of the image by itself, as Captum and we do.
    """
    quantus, module = quantus_of(Small((1, 8, 8)))
    model = Small((1, 8, 8))
    several = cases(model, 2)
    test = quantus.Infidelity(
        perturb_baseline=0.0, perturb_patch_sizes=[4], n_perturb_samples=1, disable_warnings=True
    )
    found = test(
        model=module,
        x_batch=np.stack([case.image for case in several]),
        y_batch=np.array([case.target for case in several]),
        a_batch=np.stack([case.values for case in several]),
        softmax=True,
    )
    for case, value in zip(several, found, strict=True):
        image, said, drops = case.image.copy(), [], []
        for top in (0, 4):
            for left in (0, 4):
                image[:, top : top + 4, left : left + 4] = 0
                said.append(float(((case.image.astype(np.float64) - image) * case.values).sum()))
                drops.append(
                    model.probability(case.image, case.target) - model.probability(image, case.target)
                )
        assert mean_square(np.array(said), np.array(drops), False) == pytest.approx(value, abs=1e-4)


def test_the_unit_can_be_a_share_of_the_score():
    model = Small()
    (case,) = cases(model, 1)
    shares = with_values(case, case.values * case.image)
    by_share = measured(model, shares, Infidelity(20, per_unit=False)).value
    assert by_share == pytest.approx(measured(model, case, Infidelity(20)).value, rel=1e-5)


def test_perturbations_stay_in_the_range_and_are_the_cases_own():
    first, second = cases(Small(), 2)
    for perturbation, different in (("noise", 12), ("square", 8)):
        a, b = (probes(Infidelity(6, perturbation, sigma=2.0), case) for case in (first, second))
        assert all(image.min() >= 0 and image.max() <= 1 for image in (*a, *b))
        moved = {(case.image - image).tobytes() for case, c in ((first, a), (second, b)) for image in c[1:]}
        assert len(moved) >= different  # there are not so many places for a square
    square = (probes(Infidelity(1, "square", side=0.5), first)[1] != first.image).any(axis=0)
    assert square.sum() == 16


def test_features_have_no_squares():
    model = Small((6,))
    (case,) = cases(model, 1)
    assert np.isfinite(measured(model, case, Infidelity()).value)
    with pytest.raises(InputError, match="perturbation 'square' needs pictures"):
        measured(model, case, Infidelity(perturbation="square"))


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"samples": 0}, "samples is 0"),
        ({"perturbation": "blur"}, "perturbation is 'blur'"),
        ({"sigma": 0}, "sigma is 0"),
        ({"side": 2}, "side is 2"),
        ({"normalise": 1}, "normalise is 1, it must be True or False"),
        ({"per_unit": None}, "per_unit is None"),
    ],
)
def test_settings_are_checked(settings, what):
    with pytest.raises(InputError, match=what):
        Infidelity(**settings)
