"""docs/security.md names tests that there are; other pages every error, status, and output of a file."""

from __future__ import annotations

import re
from pathlib import Path

from fluxpath import errors
from fluxpath.export.whole_method.loop import OUTPUTS
from fluxpath.export.whole_method.methods import METHOD_NAMES
from fluxpath.status import Status

ROOT = Path(__file__).parents[1]
SECURITY = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ERRORS = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def rows(page: str) -> list[list[str]]:
    """The cells of the page's tables."""
    found = [[c.strip() for c in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    return [row for row in found if not row[0].startswith("---")]


def test_every_line_on_security_is_held_by_a_test_that_there_is() -> None:
    lines = [r for r in rows(SECURITY) if r[-1] != "held by"]
    assert len(lines) > 15 and all("::test_" in row[-1] for row in lines)
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", SECURITY):
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), (path, name)


def test_every_error_and_every_status_is_explained() -> None:
    made = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, errors.FluxpathError)]
    explained = {row[0].strip("`"): row for row in rows(ERRORS)}
    for error in made:
        assert all(explained[error.__name__][1:]), error
    for status in Status:
        assert explained[status.name][1:3] == [str(status.value), status.meaning]
    assert set(explained) - {"error", "status"} == {e.__name__ for e in made} | {s.name for s in Status}


def test_the_contract_of_a_whole_method_is_complete() -> None:
    page = (ROOT / "docs" / "whole-method.md").read_text(encoding="utf-8")
    named = [row[0].strip("`") for row in rows(page.partition("## Outputs")[2])]
    assert named[1 : 1 + len(OUTPUTS)] == list(OUTPUTS)
    numbers = [int(name) for name in named if name.isdigit()]
    assert numbers == [status.value for status in Status if status != Status.RUNNING]
    assert all(f"`{name}`" in page for name in METHOD_NAMES)


def test_both_pages_are_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "(docs/security.md)" in readme and "(docs/errors.md)" in readme
