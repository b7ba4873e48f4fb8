"""The engine's arrays on the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sessions import CLASSES, FEATURES, LinearSession, explain, some_images

from fluxpath.runtime import Method, Status
from fluxpath.runtime.lanes import Fresh, Lanes


@dataclass(frozen=True)
class Downhill(Method):
    """A walk that knows nothing of targets: five steps down the gradient."""

    lanes: int = 1
    starts_at_image: bool = True

    def advance(self, lanes, slots):
        lanes.point[slots] -= 0.2 * lanes.gradient[slots]
        lanes.step[slots] += 1
        lanes.status[slots[lanes.step[slots] == 5]] = Status.COMPLETE


def test_the_target_stays_what_was_predicted_at_the_image():
    """Also where the method leaves it to the engine and the prediction changes along the walk."""
    session = LinearSession()
    result = explain(session, some_images(8), Downhill(), slots=3)
    last = [session.evaluate(p)[1] for p in session.points]
    assert len(set(last)) == CLASSES
    assert (result.target == result.label).all()
    assert (result.end_score < result.score).all()


def filled(slots):
    """Lanes 10, 11, ... of as many images, in slots 0, 1, ...; the targets are left to the model."""
    lanes = Lanes(slots, (FEATURES,), None, None, companions={"mask": ((2,), "int64")})
    lanes.fill(
        [
            Fresh(slot, image, -1, 10 + slot, companions={"mask": np.array([slot, 7])})
            for slot, image in enumerate(some_images(slots))
        ]
    )
    return lanes


def test_a_lane_begins_at_its_image_whatever_the_slot_held_before():
    lanes = filled(2)
    lanes.sum[1], lanes.step[1], lanes.status[1], lanes.kept[1] = 5, 6, Status.COMPLETE, "before"
    image = some_images(1, seed=9)[0]
    lanes.fill([Fresh(1, image, 2, 4, companions={"mask": np.array([8, 9])})])
    np.testing.assert_array_equal(lanes.image[1], image)
    np.testing.assert_array_equal(lanes.point[1], image)
    assert not lanes.sum[1].any() and (lanes.step[1], lanes.status[1], lanes.kept[1]) == (0, 0, None)
    assert (lanes.target[1], lanes.number[1], lanes.companions["mask"][1].tolist()) == (2, 4, [8, 9])
    assert (lanes.number[0], lanes.companions["mask"][0].tolist()) == (10, [0, 7])


def test_a_lane_that_moves_takes_all_with_it_and_is_noted_where_it_is():
    lanes = filled(3)
    image = lanes.image[2].copy()
    lanes.sum[2], lanes.pending[2], lanes.step[2], lanes.kept[2] = 1.5, 2.5, 3, "mine"
    lanes.rearrange({0: 2})
    np.testing.assert_array_equal(lanes.point[0], image)
    assert (lanes.sum[0] == 1.5).all() and (lanes.pending[0] == 2.5).all()
    assert (lanes.step[0], lanes.number[0], lanes.companions["mask"][0].tolist()) == (3, 12, [2, 7])
    assert (lanes.kept[0], lanes.kept[2]) == ("mine", None)
    lanes.label[:], lanes.score[:] = [1, 2, 0], [0.5, 0.25, 0.125]
    lanes.note_start(1)
    assert (lanes.first_target[0], lanes.target[0], lanes.first_score[0]) == (1, 1, 0.5)
    assert lanes.target[1] == -1  # not evaluated yet
    lanes.label[:], lanes.score[:] = 0, 0
    lanes.note_start(2)
    assert (lanes.first_label[:2] == [1, 0]).all() and lanes.first_score[0] == 0.5


def test_lanes_have_ended_among_those_that_were_evaluated():
    lanes = filled(4)
    lanes.status[:] = [Status.RUNNING, Status.BOUNDARY, Status.RUNNING, Status.COMPLETE]
    assert lanes.ended(3) == [1] and lanes.ended(4) == [1, 3]
