"""Shows docstrings and signatures of this project as they are meant.

mkdocstrings uses it when the site is built, as an extension of griffe (mkdocs.yml): lines of "name: what it
is" become a list, and signatures are those of the running code, where settings are inherited and the options
of an export stand for fields.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

import griffe

MODULES = ("fluxpath.runtime", "fluxpath.runtime.pictures", "fluxpath.export")
"""What they list in `__all__` is public."""

ITEM = re.compile(r"([a-z_]\w*(?:, [a-z_]\w*)*): (.*)")


def as_markdown(text: str) -> str:
    """The docstring with each paragraph that begins with "name: " as a list, one item for each name."""
    return "\n\n".join(_listed(paragraph) for paragraph in re.split(r"\n\s*\n", text))


def _listed(paragraph: str) -> str:
    if paragraph.startswith("    "):
        return paragraph  # a formula, which Markdown shows as it stands
    if not ITEM.match(paragraph):
        return _literal(paragraph)
    items: list[str] = []
    for line in paragraph.splitlines():
        if found := ITEM.match(line):
            items.append(f"- `{found[1]}`: {_literal(found[2])}")
        else:
            items[-1] += f" {_literal(line.strip())}"
    return "\n".join(items)


def _literal(text: str) -> str:
    """The text with the signs escaped that Markdown would take for its own, and with links to pages."""
    parts = text.split("`")
    plain = "`".join(part if i % 2 else re.sub(r"([*\[<])", r"\\\1", part) for i, part in enumerate(parts))
    return re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", plain)


def parameters_of(function: Callable[..., Any]) -> griffe.Parameters:
    """The parameters of a function or class, as it takes them."""
    shown = []
    for p in inspect.signature(function).parameters.values():
        empty = inspect.Parameter.empty
        kind = griffe.ParameterKind(p.kind.description)
        default = None if p.default is empty else _shown(p.default)
        annotation = None if p.annotation is empty else re.sub(r"\b[a-z_]+\.", "", str(p.annotation))
        shown.append(griffe.Parameter(p.name, annotation=annotation, kind=kind, default=default))
    return griffe.Parameters(*shown)


def _shown(default: object) -> str:
    return "..." if callable(default) else repr(default)


class Docstrings(griffe.Extension):
    """Rewrites every docstring as it is collected, and the signatures of what is public."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        for name in MODULES:
            module = importlib.import_module(name)
            for public in module.__all__:
                made = getattr(module, public)
                if not callable(made):
                    continue
                known = pkg[f"{made.__module__}.{made.__qualname__}".partition(".")[2]]
                if isinstance(known, griffe.Class):
                    init = griffe.Function("__init__", parameters=parameters_of(made), runtime=False)
                    known.set_member("__init__", init)
                    for name, member in known.functions.items():
                        if name in vars(made):
                            member.parameters = parameters_of(getattr(made, name))
                elif isinstance(known, griffe.Function):
                    known.parameters = parameters_of(made)
