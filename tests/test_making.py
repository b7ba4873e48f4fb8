"""Settings by name, whatever they are of."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fluxpath.errors import InputError
from fluxpath.making import imported, made_with, settings_of, unknown


@dataclass
class Thing:
    """Has one setting that must be given."""

    needed: int
    other: int = 2

    def __post_init__(self) -> None:
        if self.needed < 0:
            raise RuntimeError("below zero\nand more")


def test_made_with_settings():
    assert made_with("thing", Thing, {"needed": 1}) == Thing(1, 2)
    assert list(settings_of(Thing)) == ["needed", "other"]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"needed": 1, "x": 2}, "^thing has no setting 'x', it has needed, other$"),
        ({}, "^thing needs the setting 'needed': pass needed= as a needed$"),
        ({"needed": -1}, "^thing cannot be made with these settings: below zero$"),
    ],
)
def test_wrong_settings(settings, what):
    with pytest.raises(InputError, match=what):
        made_with("thing", Thing, settings, " as a {}")


def test_a_class_by_module_and_name():
    assert imported("fluxpath.status:Status", int, "int").__name__ == "Status"
    with pytest.raises(InputError, match=r"it must be a class derived from builtins\.str"):
        imported("fluxpath.status:Status", str, "builtins.str")
    with pytest.raises(InputError, match="cannot import 'none_such'"):
        imported("none_such:X", int, "int")
    with pytest.raises(InputError, match=r"module 'fluxpath.status' has no 'X'"):
        imported("fluxpath.status:X", int, "int")


def test_unknown_names_suggest_known_ones():
    assert (
        str(unknown("colour", "gren", ["green", "blue"])) == "there is no colour 'gren': the nearest is green"
    )
    assert str(unknown("colour", "zzz", ["green", "red"])) == "there is no colour 'zzz': there are green, red"
