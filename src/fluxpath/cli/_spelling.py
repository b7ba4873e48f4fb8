"""Names with settings in one option, as in "neflag:n=20,radius=0.03,saliency"."""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from typing import TypeVar

from fluxpath.errors import InputError

Made = TypeVar("Made")


def each_of(
    option: str, text: str, own: Container[str], made: Callable[[str, list[str]], Made]
) -> dict[str, Made]:
    """What `made` gives for each name and its settings, "key=value", by spelling; InputError as `spelled`."""
    found: dict[str, Made] = {}
    for spelling, name, assignments in spelled(option, text, own):
        if spelling in found:
            raise InputError(f"{option} has '{spelling}' twice: name each once")
        try:
            found[spelling] = made(name, assignments)
        except InputError as error:  # it speaks of explain's option
            raise InputError(str(error).replace("--set ", f"{name}:")) from error
    return found


def spelled(option: str, text: str, own: Container[str] = ()) -> list[tuple[str, str, list[str]]]:
    """Spelling, name and settings of each part of "a:x=1,y=2,b": commas part names, and settings of one name.

    A part with "=" and no colon before it is a further setting of the name before it; so is what follows a
    colon, as in "a:x=1:y=2". One's own class, package.module:Class, keeps its colon: settings follow a second
    one. own: names that are no packages, so that what follows their colon is a setting. InputError for
    anything else.
    """
    found: list[tuple[str, str, list[str]]] = []
    for part in (each.strip() for each in text.split(",")):
        before, equals, _ = part.partition("=")
        name, colon, _ = before.rpartition(":")
        if equals and not colon and found:
            spelling, of, settings = found[-1]
            joint = "," if settings else ":"
            found[-1] = (f"{spelling}{joint}{part}", of, [*settings, *_settings(part)])
        elif equals and name:
            found.append((part, name, _settings(part[len(name) + 1 :])))
        elif name in own:
            raise InputError(f"{part} has no value: write {part}=VALUE")
        elif part and not equals:
            found.append((part, part, []))
        else:
            raise InputError(
                f"{option} is '{text}': write names with commas, settings as in NAME:SETTING=VALUE"
            )
    return found


def _settings(text: str) -> list[str]:
    """The settings in "x=1:y=2"; a colon in a value, as in "x=C:/b.npy", stays."""
    return re.split(r":(?=[^\W\d]\w*=)", text)
