"""Methods by name: fluxpath's own, and classes of one's own by module and class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fluxpath.errors import InputError
from fluxpath.making import imported, made_with, settings_of, unknown
from fluxpath.methods import NAMES
from fluxpath.runtime import methods
from fluxpath.runtime.methods.base import Method

__all__ = ["class_named", "method_named", "need_known", "settings_of"]


def method_named(name: str, **settings: Any) -> Method:
    """The method `name` with these settings, as in method_named("neflag", n=5).

    name: one of `fluxpath.methods.NAMES`, such as "mfaba-sharp"; or "package.module:Class", a class derived
        from `Method`, whose module is imported: that runs its code, so take no such name from a stranger.
    settings: the class's, where they are not to be its defaults.

    Raises InputError for a name that there is not, and for settings that are unknown, missing or wrong.
    """
    made, implied = class_named(name)
    hint = " (on the command line, --set {}=FILE.npy, or a folder of photos)"
    return made_with(name, made, {**implied, **settings}, hint)


def need_known(name: str, further: Iterable[str] = ()) -> None:
    """Raise InputError unless `name` can be a method's, or is one of the `further` names."""
    names = [*NAMES, *further]
    if name not in names and ":" not in name:
        raise InputError(f"{unknown('method', name, names)}; one's own is named package.module:Class")


def class_named(name: str) -> tuple[type[Method], Mapping[str, Any]]:
    """The class that a name means, and the settings that the name implies; see `method_named`."""
    if name in NAMES:
        made, implied = NAMES[name]
        return getattr(methods, made), implied
    need_known(name)
    return imported(name, Method, "fluxpath.runtime.Method"), {}  # type: ignore[type-abstract]
