"""Tokens and ids."""

from __future__ import annotations

import pytest

from fluxpath.runtime.serve.access import Trace, check_token
from fluxpath.runtime.serve.protocol.errors import UnauthorizedError

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("header", ["Bearer right", "bearer right", "Bearer  right "])
def test_the_token_lets_in(header):
    check_token(header, "right")
    check_token(None, None)


@pytest.mark.parametrize(
    "header", [None, "", "right", "Basic right", "Bearer", "Bearer rigHt", "Bearer \udcff"]
)
def test_anything_else_does_not(header):
    with pytest.raises(UnauthorizedError):
        check_token(header, "right")


def test_ids_are_the_callers_if_they_can_be_logged():
    assert Trace.of("a-1", PARENT) == Trace("a-1", "0af7651916cd43dd8448eb211c80319c")
    assert Trace.of(None, PARENT).id == "0af7651916cd43dd8448eb211c80319c"
    for bad in ("a b", "x" * 200, "", 'a"'):
        assert Trace.of(bad, None).id != bad
    assert Trace.of(None, "00-" + "0" * 32 + "-b7ad6b7169203331-01").trace is None
