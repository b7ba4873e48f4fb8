"""What a terminal would obey is shown instead."""

from __future__ import annotations

from fluxpath.text import counted, named_once, visible


def test_controls_are_escaped_and_letters_are_not():
    assert visible("ä cat\x1b[2J\n\u202e\udcff") == "ä cat\\x1b[2J\\n\\u202e\\udcff"
    assert visible(3) == "3"


def test_one_is_not_several():
    assert counted(1, "image") == "1 image" and counted(2, "image") == counted(0, "image").replace("0", "2")


def test_a_name_is_told_once():
    assert named_once("a.png", "gone") == "a.png: gone"
    assert named_once("a.png", "photos/a.png: gone") == "photos/a.png: gone"
    assert named_once("a.png", "a.png: gone") == "a.png: gone"
    assert named_once("a.png", "ba.png: gone") == "a.png: ba.png: gone"
