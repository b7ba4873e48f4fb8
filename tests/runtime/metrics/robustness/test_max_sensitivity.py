"""Max-sensitivity against a plain twin, Captum and Quantus."""

from __future__ import annotations

import math

import numpy as np
import pytest
from metric_cases import Small, cases, measured
from quantus_model import quantus_of

from fluxpath.runtime.metrics import MaxSensitivity
from fluxpath.runtime.metrics.robustness.sensitivity import Sensitivity


def neighbours(case, samples: int, radius: float) -> np.ndarray:
    return np.stack(list(Sensitivity(samples, radius).neighbours(case)))


def test_it_is_its_twin():
    model = Small()
    for case in cases(model, 2):
        values = case.values.reshape(-1).astype(np.float64).tolist()
        changes = []
        for image in neighbours(case, 6, 0.1):
            other = model.gradient(image, case.target).reshape(-1).tolist()
            changes.append(math.dist(values, other) / math.hypot(*values))
        assert measured(model, case, MaxSensitivity(6, 0.1)).value == pytest.approx(max(changes), abs=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_it_is_captums():
    captum, torch = pytest.importorskip("captum.metrics"), pytest.importorskip("torch")
    model = Small()
    for case in cases(model, 2):
        near = torch.from_numpy(neighbours(case, 5, 0.05))

        def explain(inputs):
            images = inputs[0] if isinstance(inputs, tuple) else inputs
            found = [model.gradient(image.numpy(), case.target) for image in images]  # noqa: B023
            return (torch.from_numpy(np.stack(found)),)

        expected = captum.sensitivity_max(
            explain,
            torch.from_numpy(case.image[None]),
            perturb_func=lambda inputs: (near,),  # noqa: B023
            n_perturb_samples=5,
        )
        found = measured(model, case, MaxSensitivity(5, 0.05)).value
        assert found == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("kind", ["MaxSensitivity", "AvgSensitivity"])
@pytest.mark.filterwarnings("ignore")  # Quantus' own
def test_it_is_quantus(kind):
    from fluxpath.runtime.metrics import AverageSensitivity

    quantus, network = quantus_of(Small())
    model = Small()
    (case,) = cases(model, 1)
    near = iter(neighbours(case, 4, 0.2))

    def explain(inputs, targets, **_):
        return np.stack(
            [model.gradient(i.reshape(3, 8, 10), t) for i, t in zip(inputs, targets, strict=True)]
        )

    test = getattr(quantus, kind)(
        nr_samples=4,
        perturb_func=lambda arr, indices, **_: next(near).reshape(1, -1),
        disable_warnings=True,
    )
    expected = test(
        model=network,
        x_batch=case.image[None],
        y_batch=np.array([case.target]),
        a_batch=case.values[None],
        explain_func=explain,
    )
    ours = MaxSensitivity if kind == "MaxSensitivity" else AverageSensitivity
    assert measured(model, case, ours(4, 0.2)).value == pytest.approx(float(expected[0]), abs=1e-6)
