"""docs/metrics.md has every metric, substrate and preset, and what each asks for."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from fluxpath.runtime.metrics import METRICS, PRESETS, Metric
from fluxpath.runtime.metrics.substrates import DEPENDENT, SUBSTRATES

PAGE = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text(encoding="utf-8")


def rows(section: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its head."""
    table = PAGE.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_metric_has_a_section_and_a_row() -> None:
    assert set(re.findall(r"^### `([\w-]+)`$", PAGE, re.MULTILINE)) == set(METRICS)
    listed: dict[str, type[Metric]] = {}
    for names, classes, _, better in rows("The metrics"):
        linked = re.findall(r"\[`([\w-]+)`\]\(#([\w-]+)\)", names)
        made = [METRICS[name] for name, anchor in linked if name == anchor]
        assert re.findall(r"`(\w+)`", classes) == [one.__name__ for one in made]
        said = better.split("; ") if ";" in better else [better] * len(made)
        assert said == [one.better for one in made]
        listed |= dict(zip([name for name, _ in linked], made, strict=True))
    assert listed == dict(METRICS)


def test_every_substrate_has_a_row() -> None:
    assert [row[0].strip("`") for row in rows("Substrates")][:-1] == [*SUBSTRATES, *DEPENDENT]


def test_every_preset_has_a_row() -> None:
    assert [row[0].strip("`") for row in rows("Presets")] == list(PRESETS)


@pytest.mark.parametrize("name", METRICS)
def test_every_definition_says_what_one_must_know(name: str) -> None:
    """The paper with its year; of what is not obvious, ties and what is undefined."""
    text = METRICS[name].__doc__ or ""
    assert re.search(r"\b(19|20)\d\d\b", text)
    for field in dataclasses.fields(METRICS[name]):
        assert field.default is not dataclasses.MISSING, "a name alone makes a metric"
        assert not isinstance(field.default, np.ndarray)
