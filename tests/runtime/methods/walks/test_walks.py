"""AGI, BIG and Guided IG against their slow twins, on a linear and a nonlinear model in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from sessions import CLASSES, BrokenSession, CurvedSession, LinearSession, explain, some_images
from twins import relative_error
from twins_walks import agi, big, guided_ig

from fluxpath.runtime import AGI, BIG, MFABA, GuidedIG, NeFLAG, Status

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


@pytest.mark.parametrize("kind", [AGI, BIG, GuidedIG])
def test_equal_settings_are_one_method(kind):
    assert kind() == kind() and hash(kind()) == hash(kind())


@pytest.mark.parametrize("method", [MFABA, NeFLAG])
def test_unknown_settings(method):
    with pytest.raises(TypeError, match="steps"):
        method(steps=3)
