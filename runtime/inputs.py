"""Checks of what callers pass in; each error says in one sentence what is wrong and what would be right."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath import kernels
from fluxpath.arrays import as_array, need_within, outside
from fluxpath.checks import whole
from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.runtime.methods import Method
from fluxpath.runtime.methods.named import method_named

_SHOWN = 5
"""How many classes an error names."""


def as_images(
    images: npt.ArrayLike,
    shape: tuple[int, ...],
    low: float | None,
    high: float | None,
    copy: bool = True,
) -> npt.NDArray[np.float32]:
    """A float32 array [n, *shape], n >= 1; InputError unless it is finite and within [low, high].

    What lies outside by no more than rounding in float32 is clipped. copy: whether it is always a new one.
    """
    given = as_array("images", images)
    if given.dtype.newbyteorder("=") not in (np.float32, np.float64):
        raise InputError(f"images have dtype {given.dtype}, and must be float32{_other_type(given)}")
    if given.shape == shape:
        given = given[None]
    need_images(given.shape, shape)
    if len(given) == 0:
        raise InputError("images are empty: pass at least one")
    if given.dtype == np.float32:
        array = given.astype(np.float32, order="C", copy=copy)
    else:
        with np.errstate(over="ignore"):
            array = given.astype(np.float32, order="C")
    least, most = (np.float32(v) for v in kernels.extent(array.reshape(-1)))  # NaN if any pixel is NaN
    if not (isfinite(least) and isfinite(most)):
        finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
        which = "the image" if len(array) == 1 else f"image {int(np.argmin(finite))}"
        raise InputError(f"{which} holds NaN or infinity, and pixels must be finite")
    if outside(least, most, low, high):
        if outside(least, most, low, high, rounding=True):
            raise InputError(
                f"images range from {least!s} to {most!s}, and the model's input from {low} to {high}"
                + _other_range(float(least), float(most), high)
            )
        array = np.clip(array, low, high)
    return array


def need_images(given: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raise InputError unless the shape is [n, *shape]."""
    if len(given) != len(shape) + 1 or given[1:] != shape:
        raise InputError(
            f"images have shape {list(given)}, and must have [n, {_listed(shape)}]"
            + _other_order(given, shape)
        )


def within_range(
    images: npt.NDArray[np.float32], low: float | None, high: float | None
) -> npt.NDArray[np.float32]:
    """Inputs of the model, clipped to [low, high]; a RuntimeWarning says so, where more than rounding was.

    For what other libraries make of images, as by adding noise: they know no range.
    """
    least, most = (images.min(), images.max()) if images.size else (np.float32(0), np.float32(0))
    if not np.isfinite([least, most]).all() or not outside(least, most, low, high, rounding=True):
        return images
    warnings.warn(
        f"inputs range from {least:g} to {most:g}, and the model's from {low} to {high}: what "
        "lies outside was clipped",
        RuntimeWarning,
        stacklevel=3,
    )
    return np.clip(images, low, high)


def _other_type(given: npt.NDArray[Any]) -> str:
    """What may be meant by an array that is not of floats."""
    if given.dtype.kind == "O":
        return ": an array of objects says neither sizes nor types, so pass a list of photos or of arrays"
    if given.dtype.kind in "iu":
        return ", the model's input, or uint8, a photo's levels from 0 to 255"
    return ": pass a list of paths" if given.dtype.kind == "U" else ""


def _other_order(given: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """What to do with an array that has the channels last."""
    last = (*shape[1:], *shape[:1])
    if len(shape) != 3 or given[-3:] != last or given[-3:] == shape:
        return ""
    return ": its channels come last, so move them with np.moveaxis(images, -1, -3)"


def _other_range(least: float, most: float, high: float | None) -> str:
    """What to do with levels of a photo."""
    if high is None or high > 2 or least < 0 or not 2 < most <= 255:
        return ""
    return ": levels from 0 to 255 are scaled if they are uint8, so pass images.astype(np.uint8)"


def as_targets(
    target: object, n: int, classes: int, names: Sequence[str] | None = None
) -> npt.NDArray[np.int64]:
    """int64 [n], -1 for the predicted class; InputError if a target is not a class of the model.

    target: a class, or one per image: numbers, or names among `names`.
    """
    if target is None:
        return np.full(n, -1, np.int64)
    if type(target) is int and -1 <= target < classes:
        return np.full(n, target, np.int64)  # a fast path for the usual call
    given = as_array("target", _numbered(target, classes, names))
    # numpy holds integers of more than 64 bits as objects
    if given.dtype.kind not in "iu" and not (given.size and all(type(one) is int for one in given.flat)):
        raise InputError(
            f"target has dtype {given.dtype}, and must be one integer class or one per image, or their names"
        )
    if given.ndim > 1 or (given.ndim == 1 and len(given) != n):
        raise InputError(f"target has shape {list(given.shape)}, and must be one class or [{n}]")
    numbers = given.tolist() if given.ndim else [given.item()]
    least, most = min(numbers), max(numbers)
    if least < -1 or most >= classes:
        wrong = most if most >= classes else least
        raise InputError(f"target {wrong} is not a class of the model: classes go from 0 to {classes - 1}")
    return np.full(n, given, np.int64)


def _numbered(target: Any, classes: int, names: Sequence[str] | None) -> Any:
    """`target` with numbers in the place of names, and -1 of None; anything else as it is."""
    if not isinstance(target, str | list | tuple):
        given = as_array("target", target)
        if given.dtype.kind not in "UO":
            return given
        target = given.tolist()
    if isinstance(target, list | tuple):
        return [
            class_named(one, classes, names) if isinstance(one, str) else -1 if one is None else one
            for one in target
        ]
    return class_named(target, classes, names) if isinstance(target, str) else target


def class_named(name: str, classes: int, names: Sequence[str] | None) -> int:
    """The number of the class called `name`; InputError, with the nearest names, if there is not just one.

    Whole names come first, then names whatever their case, then those with `name` among several, as "tabby"
    is in "tabby, tabby cat", then a class's number in digits: "3", or "3.0", as tables have integers beside
    gaps.
    """
    digits = re.fullmatch(r"(-?[0-9]{1,18})(\.0+)?", name.strip())
    number = int(digits[1]) if digits else None
    if names is None:
        if number is not None:
            return number
        raise InputError(
            f"target is {name!r}, and the file has no class names: pass a number from 0 to {classes - 1}, or "
            "export the model with class names"
        )
    low = name.casefold().strip()
    for same in (
        lambda other: other == name,
        lambda other: other.casefold().strip() == low,
        lambda other: low in _parts(other),
    ):
        found = [number for number, other in enumerate(names) if same(other)]
        if len(found) == 1:
            return found[0]
        if found:
            several = " or ".join(f"{number} ({names[number]})" for number in found[:_SHOWN])
            raise InputError(f"target '{name}' is the name of several classes: pass a number, {several}")
    if number is not None:
        return number
    near = {low_part: other for other in names for low_part in (other.casefold(), *_parts(other))}
    closest = dict.fromkeys(near[part] for part in get_close_matches(low, near, _SHOWN, 0.5))
    are = "is" if len(closest) == 1 else "are"
    hint = f", the nearest {are} {', '.join(map(repr, closest))}" if closest else ""
    raise InputError(f"the model has no class '{name}'{hint}")


def _parts(name: str) -> list[str]:
    return [part.strip() for part in name.casefold().split(",")]


def as_companions(
    given: Mapping[str, npt.ArrayLike], n: int, wanted: Mapping[str, tuple[tuple[int, ...], str]]
) -> dict[str, npt.NDArray[Any]]:
    """Copies of the model's further inputs, each [n, *shape]; InputError if one is missing or misshapen."""
    for name in given:
        if name not in wanted:
            raise InputError(f"the model has no further input '{name}', it has {sorted(wanted)}")
    arrays = {}
    for name, (shape, dtype) in wanted.items():
        if name not in given:
            raise InputError(f"the model's input '{name}' is missing: pass inputs={{'{name}': ...}}")
        array = as_array(f"input '{name}'", given[name])
        if array.shape != (n, *shape):
            raise InputError(f"input '{name}' has shape {list(array.shape)}, and must have {[n, *shape]}")
        if not np.can_cast(array.dtype, dtype, "same_kind"):
            raise InputError(f"input '{name}' has dtype {array.dtype}, and must be {dtype}")
        arrays[name] = array.astype(dtype)
    return arrays


def as_method(method: object) -> Method:
    """`method`, made if it is a name, if the engine can run it; InputError for anything else."""
    if isinstance(method, str):
        method = method_named(method)
    if not isinstance(method, Method):
        own = ", or an instance of your own class derived from fluxpath.runtime.Method"
        raise InputError(
            f"method is {method!r}, it must be a method's settings such as MFABA(), or a name"
            + (own if hasattr(method, "advance") and not isinstance(method, type) else "")
        )
    try:
        hash(method)
    except TypeError as error:
        raise InputError(f"method is {method!r}, it must be hashable: make it a frozen dataclass") from error
    lanes = method.lanes
    whole("lanes of the method", lanes, 1)
    for name, lane in (("image_lane", method.image_lane), ("end_lane", method.end_lane)):
        if lane is not None:
            whole(f"{name} of the method", lane, 0, lanes - 1)
    return method


def as_fitting_method(method: object, shape: tuple[int, ...], manifest: Manifest) -> Method:
    """The method fitted to a model and the shape of its input; InputError if it does not fit."""
    given = as_method(method)
    given.check(shape)
    if given.reach is not None and not manifest.factored:
        raise InputError(
            f"{given!r} takes a length from the distance to the boundary, which a file exported --plain "
            "does not tell: pass a length, such as step_size=0.1 or radius=0.1, or export without --plain"
        )
    for name, anchor in given.anchors.items():
        need_within(name, anchor, manifest.low, manifest.high)
    fitted = given.fitted(manifest.classes)
    return given if fitted is given else as_method(fitted)


def check_rules(method: Method, rules: str) -> None:
    """Raise InputError unless the method works on a gradient graph with these rules."""
    if method.rules != rules:
        raise InputError(
            f"{type(method).__name__} needs a file exported with rules '{method.rules}', and this one has "
            f"'{rules}': export the model with --rules {method.rules}"
        )


def _listed(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def need_explainer(given: object, kind: type) -> None:
    """Raise InputError unless an adapter is given an open explainer, of class `kind`."""
    if not isinstance(given, kind):
        raise InputError(f"explainer is of {type(given)}, it must be an open fluxpath.runtime.Explainer")
