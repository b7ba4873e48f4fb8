"""The gaps that ended lanes leave, closed in one go."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from sessions import FEATURES, LinearSession

from fluxpath.runtime import Method
from fluxpath.runtime.engine.engine import Engine
from fluxpath.runtime.engine.request import Request
from fluxpath.runtime.lanes import Lanes
from fluxpath.status import Status


@dataclass(frozen=True)
class Some(Method):
    """A lane whose image's number is among `ended` ends at its first gradient, another one at its second."""

    ended: tuple[int, ...]
    lanes = 1
    starts_at_image = True

    def advance(self, lanes, slots):
        for slot in slots:
            if lanes.step[slot] or (lanes.image[slot, 0] * 6).round() in self.ended:
                lanes.status[slot] = Status.COMPLETE
            else:
                lanes.step[slot] += 1


class Moves(Lanes):
    """Logs which lanes are moved together."""

    def rearrange(self, moves):
        self.log.append(dict(moves))
        super().rearrange(moves)


@pytest.mark.parametrize("ended", [(1, 4), (0, 4, 5), (2, 3), (0, 1, 2, 3, 4, 5), (0, 2, 4)])
def test_moves_of_one_tick_can_be_made_at_once(ended):
    """Slot 4 of (1, 4) is filled with the last lane and then freed for slot 1."""
    lanes = Moves(6, (FEATURES,), 0, 1)
    lanes.log = []
    running = Engine(LinearSession(), lanes)
    images = np.repeat(np.arange(6, dtype=np.float32)[:, None] / 6, FEATURES, axis=1)
    work = Request(images, np.full(6, -1), Some(ended))
    running.add(work)
    running.tick()
    moves = dict(*lanes.log)
    left = 6 - len(ended)
    assert set(moves) == {slot for slot in ended if slot < left}
    assert all(source >= left for source in moves.values()), "a slot is both freed and filled"
    while running.busy:
        running.tick()
    assert work.future.result().steps.tolist() == [0 if i in ended else 1 for i in range(6)]
