"""What a terminal would obey is shown instead."""

from __future__ import annotations

from fluxpath.text import visible


def test_controls_are_escaped_and_letters_are_not():
    assert visible("ä cat\x1b[2J\n\u202e\udcff") == "ä cat\\x1b[2J\\n\\u202e\\udcff"
    assert visible(3) == "3"
