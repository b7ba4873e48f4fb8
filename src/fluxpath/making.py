"""Makes settings by name: classes of one's own by module and class, and checked keywords."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TypeVar

from fluxpath.errors import FluxpathError, InputError, first_line

Made = TypeVar("Made")


def unknown(what: str, name: str, names: Iterable[str]) -> InputError:
    """The error for a name that there is not: it gives the nearest, or all."""
    near = get_close_matches(name.lower(), list(names), 3, 0.5)
    are = "is" if len(near) == 1 else "are"
    there = f"the nearest {are} {', '.join(near)}" if near else f"there are {', '.join(names)}"
    return InputError(f"there is no {what} '{name}': {there}")


def imported(name: str, base: type[Made], public: str) -> type[Made]:
    """The class "package.module:Class", whose module is imported; InputError unless it derives from `base`.

    public: where `base` is found, as in "fluxpath.runtime.Method".
    """
    package, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(package), attribute)
    except AttributeError as error:
        raise InputError(f"module '{package}' has no '{attribute}'") from error
    except Exception as error:  # importing a module can raise anything
        raise InputError(f"cannot import '{package}': {first_line(error)}") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InputError(f"'{name}' is {found!r:.80}, it must be a class derived from {public}")
    return found


def settings_of(made: type[Any]) -> Mapping[str, inspect.Parameter]:
    """The settings of a class, by name."""
    return _parameters(made)  # type: ignore[arg-type]  # a class is hashable


@lru_cache(maxsize=256)
def _parameters(made: type[Any]) -> Mapping[str, inspect.Parameter]:
    return MappingProxyType(inspect.signature(made).parameters)


def made_with(name: str, made: type[Made], settings: Mapping[str, Any], hint: str = "") -> Made:
    """An instance of the class called `name`; InputError for settings that are unknown, missing or wrong.

    hint: how to pass a setting that is missing, in which {} is the setting's name.
    """
    known = settings_of(made)
    for key in settings:
        if key not in known:
            raise InputError(f"{name} has no setting '{key}', it has {', '.join(sorted(known)) or 'none'}")
    for key, setting in known.items():
        if key not in settings and setting.default is inspect.Parameter.empty:
            raise InputError(f"{name} needs the setting '{key}': pass {key}={hint.format(key)}")
    try:
        return made(**settings)
    except (FluxpathError, MemoryError):
        raise
    except Exception as error:  # a class of one's own can raise anything
        raise InputError(f"{name} cannot be made with these settings: {first_line(error)}") from error
