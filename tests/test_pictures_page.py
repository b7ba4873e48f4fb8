"""docs/pictures.md has every setting of a drawing, with its default."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from fluxpath.runtime.pictures import Drawing

PAGE = (Path(__file__).parents[1] / "docs" / "pictures.md").read_text(encoding="utf-8")


def test_settings_and_defaults_are_those_of_drawing() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \|", PAGE, re.MULTILINE)
    fields = dataclasses.fields(Drawing)
    assert rows == [(field.name, repr(field.default).replace("'", '"')) for field in fields]
