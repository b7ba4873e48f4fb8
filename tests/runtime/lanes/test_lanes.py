"""The engine's arrays on the host: filled, moved, noted, ended."""

from __future__ import annotations

import numpy as np

from fluxpath.runtime.lanes import Fresh, Lanes

SIZE = {"mask": ((3,), "int64")}


def image(value: float) -> np.ndarray:
    return np.full(4, value, np.float32)


def test_a_filled_slot_keeps_nothing_of_the_lane_before() -> None:
    lanes = Lanes(2, (2, 2), 0.0, 1.0, SIZE)
    for array in (lanes.pending, lanes.sum, lanes.step, lanes.status, lanes.length):
        array[:] = 7
    lanes.kept[1] = "old"
    lanes.fill([Fresh(1, image(0.5), -1, 3, companions={"mask": np.array([1, 0, 1])})])
    assert (lanes.image[1] == 0.5).all() and (lanes.point[1] == 0.5).all()
    assert not lanes.pending[1].any() and not lanes.sum[1].any()
    assert lanes.step[1] == lanes.status[1] == lanes.length[1] == 0
    assert (lanes.number[1], lanes.target[1], lanes.kept[1]) == (3, -1, None)
    assert lanes.companions["mask"][1].tolist() == [1, 0, 1]
    assert (lanes.pending[0] == 7).all(), "the other slot is left alone"


def test_the_first_evaluation_decides_the_explained_class_once() -> None:
    lanes = Lanes(3, (4,), None, None)
    lanes.fill([Fresh(0, image(0), -1), Fresh(1, image(0), 2), Fresh(2, image(0), -1)])
    lanes.label[:], lanes.score[:] = [1, 1, 1], [0.5, 0.25, 0.125]
    lanes.note_start(2)
    assert lanes.first_target[:2].tolist() == lanes.target[:2].tolist() == [1, 2]
    assert lanes.first_label[:2].tolist() == [1, 1] and lanes.target[2] == -1, "slot 2 was not evaluated"
    lanes.label[:], lanes.score[:] = [0, 0, 0], [9, 9, 9]
    lanes.note_start(3)
    assert lanes.first_score.tolist() == [0.5, 0.25, 9] and lanes.first_target.tolist() == [1, 2, 0]


def test_a_lane_that_was_moved_before_its_first_evaluation_is_still_noted() -> None:
    lanes = Lanes(2, (4,), 0, 1, SIZE)
    lanes.fill([Fresh(1, image(0.25), -1, 5, companions={"mask": np.array([4, 5, 6])})])
    lanes.kept[1] = "mine"
    lanes.rearrange({0: 1})
    assert (lanes.image[0] == 0.25).all() and lanes.number[0] == 5
    assert lanes.companions["mask"][0].tolist() == [4, 5, 6] and lanes.kept == ["mine", None]
    lanes.label[0] = 1
    lanes.note_start(1)
    assert lanes.first_target[0] == 1


def test_lanes_that_ended_among_those_evaluated() -> None:
    lanes = Lanes(4, (1,), 0, 1)
    lanes.status[:] = [0, 3, 1, 3]
    assert lanes.ended(3) == [1, 2]
