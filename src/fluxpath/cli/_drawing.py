"""The options of the pictures' looks, made from the fields of `Drawing`."""

from __future__ import annotations

import argparse
import dataclasses
import re
import typing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fluxpath.runtime.pictures import Drawing

# A line of the docstring that says what fields are, as in "smooth: the standard deviation, ...".
_FIELD = re.compile(r"^ {4}([a-z_]+(?:, [a-z_]+)*): (.*(?:\n {8}.*)*)", re.MULTILINE)


def add_drawing(parser: argparse.ArgumentParser) -> None:
    """Add one option for each field of `Drawing`, with what its docstring says of it."""
    from fluxpath.runtime.pictures import Drawing

    group = parser.add_argument_group("how the pictures look")
    kinds, meanings = typing.get_type_hints(Drawing), _meanings(Drawing.__doc__ or "")
    for field in dataclasses.fields(Drawing):
        kind = kinds[field.name]
        choices = _choices(kind)
        form = {"choices": choices} if choices else {"type": _parsed, "metavar": _metavar(kind)}
        default = "none" if field.default is None else field.default
        group.add_argument(
            f"--{field.name.replace('_', '-')}",
            dest=f"drawing_{field.name}",
            default=field.default,
            help=f"{meanings.get(field.name, '')} (default {default})".replace("%", "%%"),
            **form,
        )


def drawing_from(options: argparse.Namespace) -> Drawing:
    """The `Drawing` that the options ask for; InputError, which names the setting, if one is wrong."""
    from fluxpath.runtime.pictures import Drawing

    return Drawing(**{f.name: getattr(options, f"drawing_{f.name}") for f in dataclasses.fields(Drawing)})


def _choices(kind: Any) -> tuple[str, ...]:
    """The texts that a field can be, if it can be nothing else."""
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def _metavar(kind: Any) -> str:
    kinds = typing.get_args(kind) or (kind,)
    return "NUMBER" if {int, float} & set(kinds) else "NAME"


def _parsed(text: str) -> int | float | str | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None if text == "none" else text


def _meanings(docstring: str) -> dict[str, str]:
    """What a docstring says of each field, on one line."""
    found = {}
    for names, text in _FIELD.findall(docstring):
        for name in names.split(", "):
            found[name] = " ".join(text.split()).rstrip(".")
    return found
