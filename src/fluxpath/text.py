"""Text of others, as a terminal may show it, and how many of a thing there are."""

from __future__ import annotations


def visible(text: object) -> str:
    """Text with every character escaped that a terminal would obey instead of showing, as in \\x1b.

    A name comes from whoever made the file, and could erase what was printed or retitle the window.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def counted(count: int, thing: str) -> str:
    """As in "1 image" and "3 images"."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def named_once(name: str, sentence: str) -> str:
    """The sentence behind the name it is about, unless it begins with that, or with a path that ends so."""
    before, colon, _ = sentence.partition(f"{name}: ")
    return sentence if colon and (not before or before.endswith(("/", "\\"))) else f"{name}: {sentence}"
