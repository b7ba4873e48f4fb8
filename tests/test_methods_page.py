"""docs/methods.md has each method by its name, with the settings and defaults that it has."""

from __future__ import annotations

import dataclasses
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fluxpath import runtime
from fluxpath.methods import NAMES

PAGE = (Path(__file__).parents[1] / "docs" / "methods.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `([\w-]+)`\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE))


def test_every_method_has_a_section_and_a_row() -> None:
    assert list(SECTIONS) != [] and set(SECTIONS) == set(NAMES)
    first = PAGE.partition("\n## ")[0]
    assert all(f"| [`{name}`](#{name})" in first or f", [`{name}`](#{name})" in first for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_section_says_what_one_must_know(name: str) -> None:
    for what in ("```text\n", "**Good for**" if "**Good" in SECTIONS[name] else "**good for**", "**Costs**"):
        assert what in SECTIONS[name], what
    assert name == "mfaba-smooth" or re.search(r"\*\*Papers?:\*\*.*\b(19|20)\d\d", SECTIONS[name], re.DOTALL)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mfaba-smooth"])
def test_settings_and_defaults_are_those_of_the_class(name: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.+) \|$", SECTIONS[name], re.MULTILINE)
    fields = dataclasses.fields(getattr(runtime, NAMES[name][0]))
    assert [row[0] for row in rows] == [field.name for field in fields]
    for (_, shown, _), field in zip(rows, fields, strict=True):
        if field.default is dataclasses.MISSING:
            assert shown == "required"
        elif field.name == "radii":
            given = [float(Fraction(part)) for part in shown.strip("`()").split(",")]
            np.testing.assert_allclose(given, field.default)
        else:
            assert shown == f"`{field.default!r}`".replace("'", '"'), field.name
