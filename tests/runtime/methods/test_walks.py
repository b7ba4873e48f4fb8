"""AGI, BIG and Guided IG against their slow twins, on a linear and a nonlinear model in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sessions import CLASSES, FEATURES, LinearSession, some_images
from twins import relative_error
from twins_walks import agi, big, guided_ig

from fluxpath.errors import FluxpathError, InputError
from fluxpath.runtime import AGI, BIG, Explainer, GuidedIG, Method, Status


class CurvedSession(LinearSession):
    """Softmax of a linear map of tanh of a linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = 2 * np.random.default_rng(5).standard_normal((FEATURES, FEATURES))

    def evaluate(self, point, target=-1):
        h = np.tanh(self.hidden @ (point - 0.5))
        score, label, inner = super().evaluate(h + 0.5, target)
        return score, label, (inner * (1 - h**2)) @ self.hidden


class BrokenSession(LinearSession):
    """The gradient is `value` at every point whose first element is above `above`."""

    def __init__(self, value: float, above: float = -1.0) -> None:
        super().__init__()
        self.value, self.above = value, above

    def evaluate(self, point, target=-1):
        score, label, gradient = super().evaluate(point, target)
        return score, label, np.full_like(gradient, self.value) if point[0] > self.above else gradient


SESSIONS = [LinearSession, CurvedSession]
AGIS = [
    AGI(classes=2, choice="top"),
    AGI(classes=1, choice="top", step_size=0.02, max_steps=5),
    AGI(classes=2, seed=3),
    AGI(),
]
BIGS = [
    BIG(),
    BIG(radii=(0.4, 0.1), bisections=0, integration_steps=7),
    BIG(max_steps=3),
    BIG(radii=0.5, bisections=3),
]
GUIDED = [
    GuidedIG(),
    GuidedIG(steps=20, max_dist=1.0),
    GuidedIG(steps=13, fraction=0.5, max_dist=0.1),
    GuidedIG(steps=10, fraction=0.01, baseline=0.4, max_dist=0.02),
    GuidedIG(steps=9, fraction=1.0, max_dist=1.0),
    GuidedIG(steps=9, max_dist=0.0),
    GuidedIG(steps=1, max_dist=1.0),
]
ALL = [*AGIS, *BIGS, *GUIDED]


def explain(session, images, method, slots=1, target=None):
    with Explainer.from_session(session, slots=slots) as explainer:
        return explainer.attribute(images, target, method)


def false_classes(session, image, explained, method):
    """As AGI says: by the model's output at the image, or in the seed's order."""
    order = np.argsort(-(session.weight @ (image - 0.5)), kind="stable")
    if method.choice == "random":
        order = np.random.Generator(np.random.Philox(key=method.seed)).permutation(CLASSES)
    return [int(c) for c in order if c != explained][: method.classes]


def twin(session, image, method, target=None):
    """The twin's walk with the method's settings."""
    explained = session.evaluate(image)[1] if target is None else target
    names = [n for n in method.__dataclass_fields__ if n not in ("classes", "choice", "seed")]
    settings = {name: getattr(method, name) for name in names}
    if isinstance(method, AGI):
        return agi(
            session.evaluate, image, explained, false_classes(session, image, explained, method), **settings
        )
    if isinstance(method, BIG):
        return big(session.gradient(image, explained), image, explained, **settings)
    return guided_ig(session.gradient(image, explained), image, **settings)


@pytest.mark.parametrize("kind", SESSIONS)
@pytest.mark.parametrize("method", [*AGIS, *BIGS, *GUIDED], ids=repr)
@pytest.mark.parametrize("target", [None, 1])
def test_agrees_with_the_twin_at_every_point(kind, method, target):
    session = kind()
    images = some_images(8)
    result = explain(session, images, method, target=target)
    visited, statuses = [], []
    for i, x in enumerate(images.astype(np.float64)):
        walk = twin(session, x, method, target)
        assert relative_error(result.values[i], walk.values) < 2e-4
        assert (result.steps[i], result.status[i]) == (walk.steps, walk.status)
        visited += [x, *walk.points] if isinstance(method, GuidedIG) else walk.points
        statuses.append(walk.status)
    assert len(session.counts) == sum(session.counts) == len(visited)
    np.testing.assert_allclose(session.points, visited, atol=2e-5)
    assert method != BIG() or Status.BOUNDARY in statuses


@pytest.mark.parametrize("kind", SESSIONS)
@pytest.mark.parametrize("method", ALL, ids=repr)
def test_batch_mates_and_slots_do_not_show(kind, method):
    images = some_images(7)
    alone = [explain(kind(), image, method) for image in images]
    for slots in (3, 16):
        together = explain(kind(), images, method, slots)
        for i, one in enumerate(alone):
            for field in ("values", "target", "label", "steps", "status", "score"):
                assert getattr(one, field).tobytes() == getattr(together, field)[i : i + 1].tobytes()


# --- AGI


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


@dataclass(frozen=True)
class Wandering(Method):
    """Asks for another class's gradient each time, and ends with one that is not explained."""

    lanes: int = 2
    starts_at_image: bool = True

    def advance(self, lanes, slots):
        lanes.target[slots] = (lanes.target[slots] + 1) % CLASSES
        lanes.step[slots] += 1
        lanes.status[slots[lanes.step[slots] > lanes.number[slots] + lanes.first_target[slots]]] = 3


@pytest.mark.parametrize("slots", [1, 3, 16])
def test_the_reported_target_is_the_explained_class_whatever_a_lane_asks_for(slots):
    """Lanes end at different times here, so that some are moved."""
    session = LinearSession()
    images = some_images(8)
    result = explain(session, images, Wandering(), slots)
    assert (result.target == [session.evaluate(x.astype(np.float64))[1] for x in images]).all()
    assert (result.steps == 3 + 2 * result.target).all()
    assert (explain(session, images, Wandering(), slots, target=1).target == 1).all()


# --- Guided IG


@pytest.mark.parametrize("method", [GuidedIG(400, max_dist=1.0), GuidedIG(400)], ids=repr)
def test_guided_ig_is_complete(method):
    session = CurvedSession()
    images = some_images(4)
    result = explain(session, images, method)
    for i, x in enumerate(images.astype(np.float64)):
        t = int(result.target[i])
        change = session.evaluate(x, t)[0] - session.evaluate(0 * x, t)[0]
        assert result.values[i].sum() == pytest.approx(change, abs=0.02)


# --- models that give nothing to go by, and settings that are none


@pytest.mark.parametrize("method", ALL, ids=repr)
def test_a_zero_gradient_is_a_status_and_zeros(method):
    result = explain(BrokenSession(0.0), some_images(4), method, slots=2)
    assert result.status.tolist() == [Status.ZERO_GRADIENT] * 4 and not result.values.any()


@pytest.mark.parametrize("method", ALL, ids=repr)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_and_infinity_are_a_status_and_zeros(method, value):
    result = explain(BrokenSession(value), some_images(4), method, slots=2)
    assert result.status.tolist() == [Status.NON_FINITE] * 4 and not result.values.any()


@pytest.mark.parametrize("method", [AGI(classes=2), BIG(), GuidedIG(steps=20, max_dist=1.0)], ids=repr)
def test_nan_on_the_way_stays_with_its_image(method):
    images = some_images(6)
    images[:, 0] = [0.1, 0.9, 0.1, 0.1, 0.9, 0.1]
    session = BrokenSession(np.nan, above=0.8)
    session.weight[:, 0] = 0.0  # no walk moves the first element, but Guided IG's, which arrives with it
    clean = LinearSession()
    clean.weight = session.weight
    result, wanted = (explain(s, images, method, slots=4) for s in (session, clean))
    assert result.status[[1, 4]].tolist() == [Status.NON_FINITE] * 2 and not result.values[[1, 4]].any()
    for field in ("values", "steps", "status"):
        given, whole = (getattr(r, field)[[0, 2, 3, 5]] for r in (result, wanted))
        assert given.tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    ("method", "settings", "named"),
    [
        (BIG, {"radii": [[0.1]]}, r"radii have shape \[1, 1\]"),
        (AGI, {"classes": 0}, "classes is 0"),
        (AGI, {"choice": "best"}, "'random' or 'top'"),
        (AGI, {"step_size": 0.0}, "step_size is 0.0"),
        (AGI, {"max_steps": True}, "max_steps is True"),
        (AGI, {"seed": -1}, "seed is -1"),
        (BIG, {"max_steps": 0}, "max_steps is 0"),
        (BIG, {"radii": (0.1, np.nan)}, "a radius is nan, it must be a finite number above zero"),
        (BIG, {"radii": 0.0}, "a radius is 0.0"),
        (BIG, {"radii": ()}, r"radii have shape \[0\]"),
        (BIG, {"radii": "far"}, "radii are 'far', they must be numbers"),
        (BIG, {"bisections": -1}, "bisections is -1"),
        (BIG, {"integration_steps": 0}, "integration_steps is 0"),
        (GuidedIG, {"steps": 0}, "steps is 0"),
        (GuidedIG, {"fraction": 0.0}, "fraction is 0.0"),
        (GuidedIG, {"fraction": 1.5}, "fraction is 1.5"),
        (GuidedIG, {"baseline": np.inf}, "baseline is inf"),
        (GuidedIG, {"max_dist": -0.1}, "max_dist is -0.1"),
        (GuidedIG, {"max_dist": "far"}, "max_dist is 'far'"),
    ],
)
def test_bad_settings_are_named(method, settings, named):
    with pytest.raises(InputError, match=named):
        method(**settings)


@pytest.mark.parametrize("kind", [AGI, BIG, GuidedIG])
def test_equal_settings_are_one_method(kind):
    assert kind() == kind() and hash(kind()) == hash(kind())
