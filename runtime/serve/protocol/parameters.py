"""What a request's parameters say: the method, how to draw, how long it may take."""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need, whole
from fluxpath.errors import InputError
from fluxpath.making import unknown
from fluxpath.methods import NAMES
from fluxpath.runtime.methods import Method
from fluxpath.runtime.methods.named import class_named, method_named, settings_of
from fluxpath.runtime.pictures import Drawing
from fluxpath.runtime.serve.protocol.provenance import settings_in
from fluxpath.runtime.serve.settings import Settings

_OWN = ("method", "seed", "deadline_ms", "timeout", "attribution_datatype", "top", "replay")
_DRAWING = {f.name for f in dataclasses.fields(Drawing)}


@dataclass(frozen=True)
class Wanted:
    """How a request wants to be explained, and drawn.

    half: whether the attribution is answered in float16. top: k explains the k-th best class. replay: the
    provenance of an answer that is asked for again.
    """

    name: str
    method: Method
    drawing: Drawing
    half: bool
    top: int | None
    replay: Mapping[str, Any] | None


def fields_of(name: object) -> Mapping[str, inspect.Parameter]:
    """The settings of the method called `name`; InputError if there is none.

    Only names of this list are taken: one of a module would import it.
    """
    if not isinstance(name, str) or name not in NAMES:
        raise unknown("method", f"{name!s:.60}", NAMES)
    return _fields(name)


@cache
def _fields(name: str) -> Mapping[str, inspect.Parameter]:
    return settings_of(class_named(name)[0])


def wanted(
    parameters: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], settings: Settings
) -> Wanted:
    """Read parameters; arrays: settings that came as tensors. InputError for what is wrong or unknown."""
    given = dict(parameters)
    replay = _provenance(given.pop("replay")) if "replay" in given else None
    if replay is not None:
        clash = sorted(set(given) - _DRAWING - set(_OWN) | {"method", "seed", "top"} & set(given))
        need(not clash, f"'replay' and '{(*clash, '')[0]}' were given: what is replayed has its own settings")
        given |= {"method": replay["method"], "top": replay.get("top"), **settings_in(replay)}
    name = given.get("method", settings.method)
    fields = fields_of(name)
    chosen = {k: _plain(v) for k, v in given.items() if k in fields} | dict(arrays)
    drawn = {k: v for k, v in given.items() if k in _DRAWING}
    known = {*fields, *_DRAWING, *_OWN}
    strange = sorted(given.keys() - known)
    if strange:
        raise unknown(f"{name} parameter", f"{strange[0]:.60}", sorted(known))
    datatype = given.get("attribution_datatype", "FP32")
    need(
        datatype in ("FP32", "FP16"), f"attribution_datatype is {datatype!r:.40}, it must be 'FP32' or 'FP16'"
    )
    drawing = Drawing(**drawn)
    need(drawing.size is None or drawing.size <= settings.max_size,
         f"size is {drawing.size}, and the server draws at most {settings.max_size} pixels")  # fmt: skip
    top = given.get("top")
    if top is not None:
        whole("top", top, 1)
    half = datatype == "FP16"
    return Wanted(str(name), method_named(str(name), **chosen), drawing, half, top, replay)


def _plain(value: Any) -> Any:
    """A setting as methods take it: lists of numbers are arrays or tuples."""
    if not isinstance(value, list):
        need(not isinstance(value, dict), "a parameter is an object, and must be a number, a text or a list")
        return value
    if value and all(isinstance(v, int | float) for v in value):
        return tuple(value)
    try:
        return np.asarray(value, np.float64)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError("a parameter is a list that is no array of numbers") from error


def _provenance(value: Any) -> Mapping[str, Any]:
    """A provenance that was sent back, as an object or as its JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InputError("replay is no JSON: send the provenance of an answer") from error
    right = isinstance(value, dict) and isinstance(value.get("settings"), dict) and "method" in value
    need(right, "replay is no provenance: send that of an answer, as it was")
    return dict(value)


def deadline_of(
    parameters: Mapping[str, Any], settings: Settings, arrived: float, most: float | None = None
) -> float:
    """The `time.monotonic()` by which the answer must be there; most: seconds that the transport allows."""
    asked = [] if most is None else [most]
    for name, unit in (("deadline_ms", 1e3), ("timeout", 1e6)):
        value = parameters.get(name)
        if value is None or (name == "timeout" and value == 0):
            continue
        right = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e15
        need(right, f"{name} is {value!r:.40}, it must be a number above zero")
        asked.append(value / unit)
    return arrived + min([*asked, settings.max_deadline] if asked else [settings.deadline])
