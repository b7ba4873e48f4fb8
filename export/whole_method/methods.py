"""The methods by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from fluxpath.errors import InputError
from fluxpath.export.whole_method.base import WholeMethod
from fluxpath.export.whole_method.integrated_gradients import IntegratedGradients
from fluxpath.export.whole_method.mfaba import MFABA
from fluxpath.export.whole_method.neflag import NeFLAG
from fluxpath.methods import NAMES

_CLASSES = {made.__name__: made for made in (MFABA, NeFLAG, IntegratedGradients)}

METHOD_NAMES = tuple(name for name, (made, _) in NAMES.items() if made in _CLASSES)
"""What `attribution_from_onnx` takes as a method's name."""


def chosen_method(method: str | WholeMethod, settings: Mapping[str, Any] | None = None) -> WholeMethod:
    """The method of that name with `settings`, or the method itself; InputError for what there is not."""
    if not isinstance(method, str):
        if not isinstance(method, tuple(_CLASSES.values())) or settings:
            raise InputError(
                f"method is {method!r} with settings {settings!r}, it must be a method of "
                "fluxpath.export.whole_method without further settings, or a name"
            )
        return method
    if method not in METHOD_NAMES:
        raise InputError(f"there is no method '{method}' for a file, there are {', '.join(METHOD_NAMES)}")
    made, fixed = NAMES[method]
    make: Callable[..., WholeMethod] = _CLASSES[made]
    known = [f.name for f in fields(_CLASSES[made]) if f.name not in fixed]
    given = dict(settings or {})
    for name in given:
        if name not in known:
            raise InputError(f"{method} has no setting '{name}', it has {', '.join(sorted(known))}")
    return make(**fixed, **given)
