"""NeFLAG through the explainer against its float64 twin; its noise depends on seed and image alone."""

from __future__ import annotations

import math

import models
import numpy as np
import pytest
from twins import neflag, neflag_starts, relative_error

from fluxpath.errors import InputError
from fluxpath.runtime import MFABA, Explainer, NeFLAG, Status


def compare(explainer, model, images, target=None, seed=0, n=4, **method):
    result = explainer.attribute(images, target, NeFLAG(n=n, seed=seed, **method))
    for i, image in enumerate(images):
        x = image.astype(np.float64)
        starts = neflag_starts(x, n, seed, method["radius"])
        walk = neflag(model.for_target(target), x, starts, target, **method)
        assert (result.steps[i], result.status[i]) == (walk.steps, walk.status)
        assert result.score[i] == pytest.approx(walk.scores[0], rel=1e-5)
        assert relative_error(result.values[i], walk.values) < 5e-6
    return result


@pytest.mark.parametrize("stop", ["flux", "label"])
@pytest.mark.parametrize("radius", [0.02, 0.1])
def test_every_stop_is_its_twin(explainer, float64, name, stop, radius):
    result = compare(
        explainer, float64(name), models.images(name, 5), stop=stop, radius=radius, max_steps=5, seed=11
    )
    assert (result.target == result.label).all()
    assert (result.steps >= 4).all()  # every sample takes a sign step


@pytest.mark.parametrize("stop", ["flux", "label"])
def test_a_target_of_the_callers_choice(explainer, float64, name, stop):
    for target in range(4):
        result = compare(
            explainer, float64(name), models.images(name, 2), target, n=2, stop=stop, radius=0.1, max_steps=3
        )
        assert result.target.tolist() == [target, target]


def test_the_stops_end_for_their_own_reasons(explainer, name):
    images = models.images(name, 6)
    flux = explainer.attribute(images, None, NeFLAG(n=3, radius=0.1))
    assert set(flux.status) == {Status.NEGATIVE_FLUX}
    label = explainer.attribute(images, None, NeFLAG(n=3, radius=0.01, stop="label", max_steps=4))
    assert Status.MAX_STEPS in label.status
    assert (label.steps[label.status == Status.MAX_STEPS] <= 12).all()


def test_the_attribution_is_the_sum_over_the_samples(explainer, name):
    """NeFLAG-3 holds the samples of NeFLAG-1: lanes are numbered from zero."""
    image = models.images(name, 1)
    values = [explainer.attribute(image, None, NeFLAG(n=n)).values for n in (1, 3)]
    assert relative_error(values[0], values[1]) > 1e-3
    assert (values[1] * values[0]).sum() > 0


def test_a_seed_is_a_different_noise(explainer, name):
    image = models.images(name, 1)
    results = [
        explainer.attribute(image, None, NeFLAG(n=2, radius=0.3, seed=s)) for s in (0, 0, 1, 2**63, 2**32)
    ]
    assert results[0].values.tobytes() == results[1].values.tobytes()
    assert len({r.values.tobytes() for r in results}) == 4


def test_the_noise_depends_on_seed_and_image_alone(explainer, graph, name):
    """Not on the place in the batch, its size, the slots, or what else is running."""
    images = models.images(name, 7)
    method = NeFLAG(n=5, seed=3)
    whole = explainer.attribute(images, None, method)
    with Explainer(graph(name), threads=1, slots=3) as other:
        company = other.submit(images, None, MFABA())
        few = other.attribute(images[::-1], None, method)
        company.result()
    for i in range(7):
        alone = explainer.attribute(images[i], None, method)
        assert alone.steps[0] == whole.steps[i] == few.steps[6 - i]
        assert relative_error(alone.values[0], whole.values[i]) < 1e-6
        assert relative_error(few.values[6 - i], whole.values[i]) < 1e-6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        *(({"n": v}, r"n is .*, it must be an integer from 1") for v in (0, -3, 1.5, None, False)),
        *(
            ({"radius": v}, r"radius is .*, it must be a finite number above zero")
            for v in (0.0, -1, math.nan, math.inf, None, 1e300)
        ),
        *(({"max_steps": v}, r"max_steps is .*, it must be an integer from 1") for v in (0, 0.5, "many")),
        ({"stop": "never"}, r"stop is 'never', it must be 'flux' or 'label'"),
        *(({"seed": v}, r"seed is .*, it must be an integer from 0") for v in (-1, 2**64, 0.0, None)),
    ],
)
def test_settings_of_neflag(settings, message):
    with pytest.raises(InputError, match=message):
        NeFLAG(**settings)
