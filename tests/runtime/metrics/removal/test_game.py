"""What insertion and deletion share: levels, substrates, rankings, and which images are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases, measured, probes, with_values
from metric_twins import area as twin_area
from metric_twins import levels

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import Deletion, Insertion, measure
from fluxpath.runtime.metrics.removal.game import area


@pytest.mark.parametrize(("n", "steps"), [(80, 7), (80, 80), (80, 224), (3, 2), (1, 50), (50176, 224)])
def test_levels_are_even_and_reach_the_end(n, steps):
    counts = Insertion(steps=steps).counts(n)
    assert counts == levels(n, steps)
    assert (counts[0], counts[-1]) == (0, n) and np.ptp(np.diff(counts)) <= 1


def test_deletion_starts_at_the_image_and_insertion_ends_at_it():
    (case,) = cases(Small(), 1)
    deleted, inserted = list(Deletion(steps=5).probes(case)), list(Insertion("black", 5).probes(case))
    assert deleted[0] is case.image and inserted[-1] is case.image
    assert deleted[-1] is inserted[0]
    assert not deleted[-1].flags.writeable and not deleted[-1].any()


def test_shared_levels_are_evaluated_once():
    model = Small()
    metrics = [Deletion("black", 5), Insertion("black", 5), Deletion("mean", 5)]
    (found,) = measure(model, cases(model, 1), metrics)
    assert sum(model.batches) == 3 * 6 - 3  # the image twice more, black once more
    probability = [found[metric].curves["probability"] for metric in metrics]
    assert probability[0][0] == probability[1][-1] == probability[2][0]
    assert probability[0][-1] == probability[1][0]


@pytest.mark.parametrize("ranking", ["pixels", "channels", "elements"])
@pytest.mark.parametrize("remove", [True, False])
def test_each_level_is_made_of_image_and_substrate(ranking, remove):
    (case,) = cases(Small(), 1)
    game = (Deletion if remove else Insertion)(0.25, 6, ranking)
    values = case.values.astype(np.float64)
    for count, image in zip(
        game.counts(240 if ranking == "elements" else 80), probes(game, case), strict=True
    ):
        gone = image != case.image
        assert (image[gone] == 0.25).all()
        changed = gone if remove else ~gone
        if ranking == "elements":
            expected = values >= np.sort(values.reshape(-1))[::-1][count - 1] if count else changed & False
        elif ranking == "channels":
            last = np.sort(values.reshape(3, -1), axis=1)[:, ::-1][:, max(count - 1, 0)].reshape(3, 1, 1)
            expected = (values >= last) & (count > 0)
        else:
            sums = values.sum(axis=0)
            expected = (sums >= np.sort(sums.reshape(-1))[::-1][max(count - 1, 0)]) & (count > 0)
        assert np.array_equal(changed, np.broadcast_to(expected, changed.shape))


def test_several_substrates_are_averaged():
    model = Small()
    (case,) = cases(model, 1)
    both, first, second = Deletion(("black", "mean"), 9), Deletion("black", 9), Deletion("mean", 9)
    (found,) = measure(model, [case], [both, first, second])
    assert found[both].value == pytest.approx((found[first].value + found[second].value) / 2, abs=1e-15)
    curve = (found[first].curves["probability"] + found[second].curves["probability"]) / 2
    assert np.allclose(found[both].curves["probability"], curve, atol=1e-15)
    assert Deletion(("black",)) == Deletion("black")


def test_absolute_ranks_by_size():
    (case,) = cases(Small(), 1)
    values = np.zeros(case.image.shape)
    values[0, 0, 1], values[:2, 0, 2] = 1.0, (3.0, -3.0)
    turned = with_values(case, values)
    plain, sizes = (probes(Deletion(0.5, 80, absolute=a), turned)[1] for a in (False, True))
    assert (plain[:, 0, 1] == 0.5).all() and (sizes[:, 0, 2] == 0.5).all()


def test_curves_tell_logits_and_accuracy():
    model = Small()
    (case,) = cases(model, 1)
    found = measured(model, case, Deletion("black", 5))
    for k, image in enumerate(probes(Deletion("black", 5), case)):
        assert found.curves["logit"][k] == pytest.approx(model.logits(image)[case.target], abs=1e-6)
        assert found.curves["accuracy"][k] == (model.logits(image).argmax() == case.target)
    assert np.array_equal(found.curves["fraction"], [0, 0.2, 0.4, 0.6, 0.8, 1])


@pytest.mark.parametrize("game", [Insertion("mean", 4), Deletion("uniform", 4)])
def test_a_vector_of_features_has_elements_for_pixels(game):
    model = Small((6,))
    (case,) = cases(model, 1)
    images = probes(game, case)
    assert [int((image != images[0]).sum()) for image in images] == [0, 2, 3, 5, 6]
    assert np.isfinite(measured(model, case, game).value)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"substrate": "grey"}, "substrate is 'grey', it must be one of black, mean"),
        ({"substrate": ()}, "substrate is .*, it must be one substrate, or several different"),
        ({"substrate": ("black", "black")}, "several different"),
        ({"substrate": float("nan")}, "finite number"),
        ({"steps": 0}, "steps is 0"),
        ({"ranking": "rows"}, "ranking is 'rows', it must be 'pixels' or"),
        ({"absolute": 1}, "absolute is 1"),
    ],
)
def test_settings_are_checked(settings, what):
    with pytest.raises(InputError, match=what):
        Insertion(**settings)


def test_the_area_is_by_trapezoids():
    x, y = np.array([0, 0.1, 0.5, 1.0]), np.array([1.0, 0.3, 0.7, 0.2])
    assert area(x, y) == pytest.approx(twin_area(x.tolist(), y.tolist()), abs=1e-15)
