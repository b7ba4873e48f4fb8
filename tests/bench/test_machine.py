"""What the figures depend on, on systems that tell it and on those that do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fluxpath.bench import machine
from fluxpath.bench.machine import Neighbours, environment


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux tells what its cores did")
def test_others_are_those_on_the_cores_that_may_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four cores one may be used: it was half busy, the others either all or not at all."""
    tick, stat = os.sysconf("SC_CLK_TCK"), tmp_path / "stat"

    def told(busy: tuple[int, ...], idle: tuple[int, ...]) -> None:
        rows = [("cpu", sum(busy), sum(idle)), *((f"cpu{k}", *v) for k, v in enumerate(zip(busy, idle)))]  # noqa: B905
        lines = [f"{name} {tick * work} 0 0 {tick * rest} 0 0 0 0 0 0" for name, work, rest in rows]
        stat.write_text("\n".join([*lines, "intr 1 2 3", ""]))

    monkeypatch.setattr(machine, "STAT", stat)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2})
    told((0, 0, 0, 0), (0, 0, 0, 0))
    neighbours = Neighbours()
    told((1000, 0, 500, 0), (0, 1000, 500, 1000))
    share = neighbours.share()
    assert share is not None and share == pytest.approx(0.5, abs=0.01)


def test_a_system_that_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "STAT", tmp_path / "none")
    monkeypatch.delattr(os, "getloadavg", raising=False)
    assert Neighbours().share() is None and environment(1)["load_average_1min"] is None
