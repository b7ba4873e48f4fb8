"""AGI: the explained class, the false ones, and settings that are none."""

from __future__ import annotations

import pytest
from sessions import BrokenSession, LinearSession, explain, some_images

from fluxpath.errors import FluxpathError, InputError
from fluxpath.runtime import AGI, Status


def test_agi_reports_the_explained_class_and_two_evaluations_a_step():
    session = LinearSession()
    result = explain(session, some_images(6), AGI(classes=2), slots=4)
    assert (result.target == result.label).all()
    assert sum(session.counts) == (2 * result.steps + 2).sum()


def test_agi_reports_the_explained_class_also_where_a_lane_ends_with_the_false_one():
    result = explain(BrokenSession(0.0), some_images(4), AGI(classes=2), slots=3, target=2)
    assert result.target.tolist() == [2] * 4 and set(result.status) <= {Status.ZERO_GRADIENT}


def test_false_classes_that_do_not_exist_cost_nothing():
    images, sessions = some_images(5), (LinearSession(), LinearSession())
    few, many = (
        explain(s, images, AGI(classes=n, choice="top"), slots=4)
        for s, n in zip(sessions, (2, 20), strict=True)
    )
    assert few.values.tobytes() == many.values.tobytes() and few.values.any()
    assert (few.steps == many.steps).all() and (few.status == many.status).all()
    assert sum(sessions[0].counts) == sum(sessions[1].counts)


class Silent(LinearSession):
    """Gives no output of its own."""

    output = None


def test_without_the_models_output_only_random_classes():
    with pytest.raises(FluxpathError, match=r'choice="random"'):
        explain(Silent(), some_images(2), AGI(classes=2, choice="top"))
    method = AGI(classes=1)
    images = some_images(2)
    assert (
        explain(Silent(), images, method).values.tobytes()
        == explain(LinearSession(), images, method).values.tobytes()
    )


def test_with_two_classes_there_is_only_the_other():
    session = Silent()
    session.manifest = type(session.manifest)(**{**vars(session.manifest), "classes": 2})
    session.weight = session.weight[:2]
    result = explain(session, some_images(5), AGI(choice="top", step_size=0.3), slots=2)
    assert set(result.status) == {Status.BOUNDARY} and result.values.any()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"classes": 0}, "classes is 0"),
        ({"choice": "best"}, "'random' or 'top'"),
        ({"step_size": 0.0}, "step_size is 0.0"),
        ({"max_steps": True}, "max_steps is True"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_bad_settings_are_named(settings, named):
    with pytest.raises(InputError, match=named):
        AGI(**settings)
