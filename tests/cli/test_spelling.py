"""Names with settings, as they are written in one option."""

from __future__ import annotations

import pytest

from fluxpath.cli._spelling import spelled
from fluxpath.errors import InputError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a,b", [("a", "a", []), ("b", "b", [])]),
        ("a:x=1,y=2,b", [("a:x=1,y=2", "a", ["x=1", "y=2"]), ("b", "b", [])]),
        ("a,y=2", [("a:y=2", "a", ["y=2"])]),
        (" a : x=1 ".replace(" ", ""), [("a:x=1", "a", ["x=1"])]),
        ("p.m:C,p.m:C:x=1", [("p.m:C", "p.m:C", []), ("p.m:C:x=1", "p.m:C", ["x=1"])]),
        ("a:x=C:/b.npy", [("a:x=C:/b.npy", "a", ["x=C:/b.npy"])]),
        ("a:x=1:y=2,z=3,b", [("a:x=1:y=2,z=3", "a", ["x=1", "y=2", "z=3"]), ("b", "b", [])]),
        ("a:x=u=v", [("a:x=u=v", "a", ["x=u=v"])]),
    ],
)
def test_spelling(text, parts):
    assert spelled("--methods", text) == parts


@pytest.mark.parametrize("text", ["", ",", "a,,b", "x=1", ":x=1", "a,"])
def test_wrong_spelling(text):
    with pytest.raises(InputError, match="write names with commas"):
        spelled("--methods", text)
