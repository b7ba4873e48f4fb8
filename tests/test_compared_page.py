"""The tables of docs/compared.md are those of the committed results."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from benchmarks.study import SHOWN, table

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "compared.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("data", "part"), SHOWN)
def test_a_table_is_of_the_results(data, part):
    report = json.loads((ROOT / "benchmarks" / "results" / f"study_{data}.json").read_text())
    assert table(report[part], SHOWN[data, part]) in PAGE
    assert re.search(rf"\b{report[part]['images']} (images|photos)", PAGE)


def test_a_table_has_the_best_first_and_its_group_in_bold():
    part = {
        "metrics": {"m": {"b": [2.0, 1.0, 3.0, 1], "a": [1.0, 0.5, 1.5, 2], "c": [float("nan")] * 3 + [0]}},
        "gradients per image": {"a": 3.0, "b": 51.0, "c": 1.0},
    }
    assert table(part, ["m"]).splitlines() == [
        "| | m | gradients |", "|---|---|---|", "| b | **2 ±1** | 51 |", "| a | 1 ±0.5 | 3 |", "| c |  | 1 |",
    ]  # fmt: skip
