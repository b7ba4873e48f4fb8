"""A whole comparison, its sides in this process: what is chosen, compared and timed, and what is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from fluxpath.bench import run as running  # noqa: E402
from fluxpath.bench.graph_sides import predicted  # noqa: E402
from fluxpath.bench.run import Task, measured  # noqa: E402
from fluxpath.bench.sides import opened  # noqa: E402
from fluxpath.bench.timing import Rounds  # noqa: E402
from fluxpath.bench.work import Facts, LeftOut, Setup, Work  # noqa: E402
from fluxpath.export import gradient_from_torch  # noqa: E402
from fluxpath.progress import Progress  # noqa: E402
from fluxpath.runtime import NeFLAG, Saliency  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # those of torch and Captum are not ours to mend
SHAPE = (3, 4, 4)


class Viewing(nn.Module):
    """Runs in plain order only: a view of rows needs them one after the other."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm, self.end = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(3), nn.Linear(64, 5)

    def forward(self, x: Any) -> Any:
        x = self.conv(self.norm(x)).tanh()
        return self.end(x.view(x.size(0), -1))


class Here:
    """A worker in this process.

    spoil: what it does to a side's answers, given the work. ends: a side, and its turn that fails.
    """

    spoil: ClassVar[dict[str, Callable[[Work, Any], Any]]] = {}

    ends: ClassVar[tuple[str, int]] = ("", 0)

    def __init__(self, side: str, setup: Setup) -> None:
        self.side, self._opened = side, opened(side, setup)
        self.remark = getattr(self._opened, "remark", "")
        self.turns = 0

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *_: object) -> None:
        getattr(self._opened, "close", lambda: None)()

    def answer(self, work: Work) -> Any:
        try:
            found = self._opened.explain(work)
        except RuntimeError as error:  # as the other process tells it
            raise LeftOut(str(error)) from None
        return self.spoil.get(self.side, lambda work, found: found)(work, found)

    def time(self, work: Work) -> float:
        self.answer(work)
        self.turns += 1
        if (self.side, self.turns) == self.ends:
            raise LeftOut("its process ended")
        return 0.5 if work.channels_last else 1.0

    def facts(self, work: Work) -> Facts:
        return Facts(1.0, None)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    folder = tmp_path_factory.mktemp("run")
    exported = gradient_from_torch(Viewing().eval(), torch.zeros(1, *SHAPE), folder / "g.onnx")
    np.save(folder / "x.npy", np.random.default_rng(0).random((4, *SHAPE)).astype(np.float32))
    made = Setup(exported.path, exported.manifest, Viewing, folder / "x.npy", np.zeros(4, np.int64), 1)
    return replace(made, targets=predicted(made)[0])


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "Worker", Here)
    monkeypatch.setattr(running, "cold_start", lambda *_: None)
    monkeypatch.setattr(Here, "spoil", {})


def compared(setup: Setup, *sides: str, method: Any = None, batch: Any = 2) -> dict[str, Any]:
    """The sides of one row."""
    tasks = [Task("one", method, batch, Rounds(1))]
    with Progress(1, "step", alike=False) as progress:
        rows, _ = measured(setup, np.full(4, 0.5, np.float32), ("fluxpath", *sides), tasks, progress)
    found: dict[str, Any] = rows[0]["sides"]
    return found


def test_an_order_that_a_module_cannot_run_in_is_not_chosen(setup: Setup) -> None:
    pytest.importorskip("captum")
    found = compared(setup, "best", "captum", method=Saliency())
    for side in ("best", "captum"):
        assert "p50" in found[side] and found[side]["channels_last"] is False, found[side]


def test_the_settings_that_are_timed_are_compared(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Channels-last is quicker here, and computes something else."""
    plain = replace(setup, make=lambda: Plain(Viewing()))
    found = compared(plain, "best")["best"]
    assert found["channels_last"] and "p50" in found

    def wrong(work: Work, answer: Any) -> Any:
        return (2 * answer[0], answer[1]) if work.channels_last else answer

    monkeypatch.setattr(Here, "spoil", {"best": wrong})
    found = compared(plain, "best")["best"]
    assert found["channels_last"] and not found["agreement"]["agrees"] and "p50" not in found


def test_what_rounding_alone_moves_a_side_may_move(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def ours(work: Work, answer: Any) -> Any:
        asked.append(work.moved)
        return (np.float32(1.02) * answer[0], answer[1]) if work.moved else answer

    rough = {"fluxpath": ours, "best": lambda _, answer: (np.float32(1.04) * answer[0], answer[1])}
    monkeypatch.setattr(Here, "spoil", rough)
    found = compared(setup, "best", "published")
    assert "p50" in found["best"] and found["best"]["agreement"]["rounding"] == pytest.approx(0.02, rel=0.01)
    assert found["published"]["agreement"]["rounding"] is None and asked.count(True) == 1
    monkeypatch.setattr(Here, "spoil", {"best": rough["best"]})
    found = compared(setup, "best")["best"]
    assert "p50" not in found and 0 < found["agreement"]["rounding"] < 1e-4


def test_fluxpath_has_its_own_slots_and_torch_the_best(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def told(work: Work, answer: Any) -> Any:
        seen.append(work.slots)
        return answer

    monkeypatch.setattr(Here, "spoil", {"fluxpath": told})
    found = compared(setup, "best", method=NeFLAG(n=20, radius=0.1, max_steps=2), batch=1)
    assert set(seen) == {None} and found["best"]["slots"] in (8, 32)
    compared(setup, "best", method=Saliency(), batch="auto")
    assert "auto" in seen
    assert Task("one", Saliency(), 2).work(4, "cuda").slots == 32
    assert Task("one", None, 40).work(64, "cpu").slots == 40


def test_a_side_that_ends_while_it_is_timed_leaves_the_others(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Here, "ends", ("published", 1))
    found = compared(setup, "published", "best")
    assert found["published"]["left_out"] == "its process ended" and "p50" not in found["published"]
    assert "p50" in found["best"] and "p50" in found["fluxpath"]


def test_normalisations_that_stay_are_told(setup: Setup) -> None:
    found = compared(setup, "published", "best")
    assert found["best"]["remark"] == "runs 1 of 1 batch normalisations, which could not be folded"
    assert "remark" not in found["published"]


class Plain(nn.Module):
    """The same function in any order."""

    def __init__(self, made: Viewing) -> None:
        super().__init__()
        self.made = made

    def forward(self, x: Any) -> Any:
        x = self.made.conv(self.made.norm(x)).tanh()
        return self.made.end(x.flatten(1))
