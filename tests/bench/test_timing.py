"""Who has a turn when, what the times say, and which settings are chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fluxpath.bench import timing
from fluxpath.bench.timing import Rounds, candidates, chosen, figures, in_turns, summary
from fluxpath.bench.work import LeftOut, Work

WORK = Work(None, 0, 2)


class Recorded:
    """A worker that says how long it takes, and notes in `turns` that it was asked."""

    def __init__(self, name: str, seconds: float, turns: list[tuple[str, int]]) -> None:
        self.name, self.seconds, self.turns = name, seconds, turns

    def time(self, work: Work) -> float:
        self.turns.append((self.name, work.first))
        return self.seconds * int(work.slots)


def test_sides_have_the_same_images_in_a_round_and_nobody_is_always_first() -> None:
    turns: list[tuple[str, int]] = []
    workers = {name: Recorded(name, k + 1.0, turns) for k, name in enumerate(("fluxpath", "best", "captum"))}
    works = dict.fromkeys(workers, replace(WORK, slots=1))
    told: list[int] = []
    found = in_turns(workers, works, [(0, 2), (2, 4)], Rounds(4), told.append)
    rounds = [turns[k : k + 3] for k in range(0, 12, 3)]
    assert [{first for _, first in one} for one in rounds] == [{0}, {2}, {0}, {2}]
    assert [one[0][0] for one in rounds] == ["fluxpath", "best", "captum", "fluxpath"]
    assert all({name for name, _ in one} == set(workers) for one in rounds) and told == [1, 2, 3, 4]
    assert found == {"fluxpath": [1.0] * 4, "best": [2.0] * 4, "captum": [3.0] * 4}


def test_ratios_are_taken_pair_by_pair() -> None:
    """The medians' ratio would be 2 here: in each pair the machine was as slow for both."""
    found = figures({"fluxpath": [1.0, 2.0, 4.0], "best": [3.0, 4.0, 20.0]}, images=2)
    assert found["best"]["ratio"] == {"median": 3.0, "quartile_1": 2.5, "quartile_3": 4.0}
    assert "ratio" not in found["fluxpath"]
    ours = found["fluxpath"]
    assert (ours["p50"], ours["images_per_second"], ours["turns"]) == (2.0, 1.0, 3)
    assert ours["p99"] == pytest.approx(3.96) and ours["seconds"] == [1.0, 2.0, 4.0]


def test_the_quickest_settings_are_chosen() -> None:
    turns: list[tuple[str, int]] = []
    works = candidates("published", WORK, (8, 2, 32), images=True)
    assert [work.slots for work in works] == [8, 2, 32]
    assert chosen(Recorded("published", 1.0, turns), works).slots == 2 and len(turns) == 9
    assert chosen(Recorded("published", 1.0, turns), works[:1]) is works[0] and len(turns) == 9
    assert {work.channels_last for work in candidates("best", WORK, (8,), images=True)} == {False, True}
    assert {work.channels_last for work in candidates("best", WORK, (8,), images=False)} == {False}


def test_what_takes_long_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[tuple[str, int]] = []
    monkeypatch.setattr(timing, "ENOUGH", -1.0)
    works = candidates("published", WORK, (8, 2, 32), images=True)
    assert chosen(Recorded("published", 1.0, turns), works).slots == 2 and len(turns) == 3


class Ends(Recorded):
    """A worker that has one turn."""

    def time(self, work: Work) -> float:
        if any(name == self.name for name, _ in self.turns):
            raise LeftOut("its process ended")
        return super().time(work)


def test_a_side_that_ends_between_turns_is_left_out() -> None:
    turns: list[tuple[str, int]] = []
    works = {name: replace(WORK, slots=1) for name in ("fluxpath", "best", "captum")}
    workers = {name: (Ends if name == "best" else Recorded)(name, 1.0, turns) for name in works}
    told: dict[str, str] = {}
    found = in_turns(
        workers, works, [(0, 2)], Rounds(3), left_out=lambda side, error: told.update({side: str(error)})
    )
    assert found == {"fluxpath": [1.0] * 3, "captum": [1.0] * 3} and told == {"best": "its process ended"}


class Broken(Recorded):
    """A worker that cannot work in channels-last order, or not at all."""

    def time(self, work: Work) -> float:
        if work.channels_last or self.seconds > 1:
            raise LeftOut("view size is not compatible")
        return super().time(work)


def test_settings_that_a_side_cannot_work_with_are_not_chosen() -> None:
    works = candidates("best", WORK, (8, 2), images=True)
    found = chosen(Broken("best", 1.0, []), works)
    assert (found.slots, found.channels_last) == (2, False)
    with pytest.raises(LeftOut, match="view size"):
        chosen(Broken("best", 2.0, []), works)


def test_how_long_sides_take_turns() -> None:
    assert [Rounds(3).go_on(done, 1e9) for done in (2, 3)] == [True, False]
    assert [Rounds().go_on(done, 1e9) for done in (4, 5)] == [True, False]
    assert [Rounds().go_on(done, 0.0) for done in (99, 100)] == [True, False]


def test_a_summary_is_of_the_median_and_the_quartiles() -> None:
    assert summary([1.0, 2.0, 3.0, 4.0, 5.0]) == {"median": 3.0, "quartile_1": 2.0, "quartile_3": 4.0}
