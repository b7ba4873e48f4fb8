"""Methods by name: fluxpath's own, and classes of one's own by module and class."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from fluxpath.errors import FluxpathError, InputError, first_line
from fluxpath.methods import NAMES
from fluxpath.runtime import methods
from fluxpath.runtime.methods.base import Method


def method_named(name: str, **settings: Any) -> Method:
    """The method `name` with these settings, as in method_named("neflag", n=5).

    name: one of `fluxpath.methods.NAMES`, such as "mfaba-sharp"; or "package.module:Class", a class derived
        from `Method`, whose module is imported: that runs its code, so take no such name from a stranger.
    settings: the class's, where they are not to be its defaults.

    Raises InputError for a name that there is not, and for settings that are unknown, missing or wrong.
    """
    made, implied = class_named(name)
    known = settings_of(made)
    given = {**implied, **settings}
    for key in given:
        if key not in known:
            raise InputError(f"{name} has no setting '{key}', it has {', '.join(sorted(known)) or 'none'}")
    for key, setting in known.items():
        if key not in given and setting.default is inspect.Parameter.empty:
            raise InputError(
                f"{name} needs the setting '{key}': pass {key}= (on the command line, --set {key}=FILE.npy, "
                "or a folder of photos)"
            )
    try:
        return made(**given)
    except (FluxpathError, MemoryError):
        raise
    except Exception as error:  # a class of one's own can raise anything
        raise InputError(f"{name} cannot be made with these settings: {first_line(error)}") from error


@lru_cache(maxsize=256)
def settings_of(made: type[Method]) -> Mapping[str, inspect.Parameter]:
    """The settings of a method's class, by name."""
    return MappingProxyType(inspect.signature(made).parameters)


def class_named(name: str) -> tuple[type[Method], Mapping[str, Any]]:
    """The class that a name means, and the settings that the name implies; see `method_named`."""
    if name in NAMES:
        made, implied = NAMES[name]
        return getattr(methods, made), implied
    if ":" not in name:
        near = get_close_matches(name.lower(), NAMES, 3, 0.5)
        there = f"the nearest are {', '.join(near)}" if near else f"there are {', '.join(NAMES)}"
        raise InputError(f"there is no method '{name}': {there}; one's own is named package.module:Class")
    return _imported(name), {}


def _imported(name: str) -> type[Method]:
    package, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(package), attribute)
    except AttributeError as error:
        raise InputError(f"module '{package}' has no '{attribute}'") from error
    except Exception as error:  # importing a module can raise anything
        raise InputError(f"cannot import '{package}': {first_line(error)}") from error
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise InputError(
            f"'{name}' is {found!r:.80}, it must be a class derived from fluxpath.runtime.Method"
        )
    return found
