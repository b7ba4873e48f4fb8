"""docs/operators.md against the standard's schemas and the registered rules."""

from __future__ import annotations

import re
from pathlib import Path

import onnx.defs

from fluxpath.export import supported_operators
from fluxpath.export.rules import _registry

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "operators.md").read_text()
NAME = r"[A-Z]\w+"
FLOAT = "tensor(float)"


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def listed(title: str) -> list[str]:
    """The operators of the one paragraph that is nothing but names."""
    (paragraph,) = re.findall(rf"^{NAME}(?:,\s+{NAME})+$", section(title), re.MULTILINE)
    return re.split(r",\s+", paragraph)


def excused() -> dict[str, str]:
    """The operators of the table, with why they have no rule."""
    rows = re.findall(r"^\| ([A-Z].*?) \| (.+) \|$", section("Without a derivative rule"), re.MULTILINE)
    return {name: why for names, why in rows for name in names.split(", ")}


def schemas() -> dict[str, onnx.defs.OpSchema]:
    """The newest schemas of the standard's operators with a float input and a float output."""
    return {
        s.name: s
        for s in onnx.defs.get_all_schemas()
        if s.domain == ""
        and not s.deprecated
        and any(FLOAT in i.types for i in s.inputs)
        and any(FLOAT in o.types for o in s.outputs)
    }


def test_rules_are_listed() -> None:
    assert listed("With a derivative rule") == list(supported_operators())
    assert (
        f"\n{len(supported_operators())} operators of the ONNX standard" in (ROOT / "README.md").read_text()
    )


def test_definitions_are_the_standards() -> None:
    known = schemas()
    for name in listed("By definition"):
        schema = known[name]
        assert schema.has_function or schema.has_context_dependent_function, name
        assert name not in supported_operators()


def test_every_operator_has_a_rule_a_definition_or_a_reason() -> None:
    told = [*supported_operators(), *listed("By definition"), *excused()]
    assert len(told) == len(set(told)), "an operator is told of twice"
    assert set(schemas()) - set(told) == set()
    assert set(told) <= {s.name for s in onnx.defs.get_all_schemas() if s.domain == ""}


def test_what_is_passed_over_is_told_so() -> None:
    """The table's first three rows are what the path from the input skips without an error."""
    passed_over = {name for name in excused() if name in _registry._CUT}
    assert passed_over == {n for n in schemas() if n in _registry._CUT}
    assert list(excused())[: len(passed_over)] == sorted(passed_over, key=list(excused()).index)
