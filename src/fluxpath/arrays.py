"""Arrays as callers have them: of any library, as settings of a method, within a range."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError

_UNREADABLE = (ArithmeticError, AttributeError, BufferError, LookupError, RuntimeError, TypeError, ValueError)
"""What an object's own conversion raises. Anything else, as the TimeoutError of an alarm, is not about it."""


def as_array(name: str, given: npt.ArrayLike) -> npt.NDArray[Any]:
    """`given` as an array; InputError, which calls it `name`, if numpy cannot read it as one."""
    if type(given) is np.ndarray:  # the usual case
        return given
    try:
        given = _on_host(given)
        array = np.asarray(given)
        masked = any(map(np.ma.is_masked, given if isinstance(given, list | tuple) else [given]))
    except _UNREADABLE as error:
        raise InputError(f"{name} cannot be read as one array: {error}") from error
    if masked:
        raise InputError(f"{name}: masked elements have no value, so fill them first, as with `filled(0)`")
    return array


_HOST = (1, 3, 11, 13)
"""DLPack's numbers of memory that the host reads: its own, and what CUDA and ROCm pin or share."""


def _on_host(given: Any) -> Any:
    """A tensor of another library as numpy can read it; anything else as it is.

    By what such objects have in common, so that no library is imported.
    """
    if callable(getattr(given, "detach", None)) and callable(getattr(given, "cpu", None)):
        if str(getattr(given, "dtype", "")).endswith("bfloat16"):
            raise TypeError("numpy has no bfloat16, so pass float32, as of .float()")
        return given.detach().cpu().numpy()  # torch's, which may require a gradient or live on a GPU
    device = getattr(given, "__dlpack_device__", None)
    if device is None or isinstance(given, np.generic | np.ndarray):
        return given
    if device()[0] in _HOST:
        return given if hasattr(given, "__array__") else np.from_dlpack(given)
    if callable(getattr(given, "get", None)):
        return given.get()  # CuPy's, whose `__array__` refuses
    return given if hasattr(given, "__array__") else np.from_dlpack(given, device="cpu")


class FixedArray:
    """A read-only float32 copy of an array, compared and hashed by content, as methods' settings must be.

    numpy accepts it as an array. Raises InputError, which calls the setting `name`, unless the value is an
    array of finite numbers.
    """

    __slots__ = ("_digest", "array")

    def __init__(self, name: str, value: npt.ArrayLike | FixedArray) -> None:
        try:
            with np.errstate(over="ignore"):
                self.array = np.array(as_array(name, value), np.float32)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name} cannot be read as an array of numbers: {error}") from error
        if self.array.size == 0 or not np.isfinite(self.array).all():
            raise InputError(
                f"{name} of shape {list(self.array.shape)} must hold finite numbers, one or more"
            )
        self.array.setflags(write=False)
        self._digest = (self.array.shape, hashlib.sha256(self.array.tobytes()).digest())

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.array, dtype) if copy else np.asarray(self.array, dtype)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FixedArray) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        # A run is resumed only if the repr of its method is the same, so it must depend on the content.
        return f"<array {list(self.array.shape)} {self._digest[1].hex()[:16]}>"

    def rows(self) -> npt.NDArray[np.float32]:
        """One flat row for each first index, [m, features]."""
        return self.array.reshape(len(self.array), -1)

    def check(self, name: str, shape: tuple[int, ...], lead: tuple[int, ...] = ()) -> None:
        """Raise InputError unless the shape is [*lead, *shape]."""
        if self.array.shape != (*lead, *shape):
            raise InputError(
                f"{name} has shape {list(self.array.shape)}, it must have {[*lead, *shape]} for this model"
            )


_ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""How far a number may lie outside a range, relative to its larger bound: what rounding explains."""


def need_no_levels(name: str, value: Any) -> None:
    """Raise InputError if `value`, which stands for inputs of the model, is bytes: levels of a photo."""
    if as_array(name, value).dtype == np.uint8:
        raise InputError(
            f"{name} has dtype uint8, a photo's levels, and must be in the range of the model's input: pass "
            "what Explainer.prepare makes of photos, or floats"
        )


def outside(
    least: np.float32, most: np.float32, low: float | None, high: float | None, rounding: bool = False
) -> bool:
    """Whether values from `least` to `most` leave [low, high], None for no bound.

    rounding: what rounding explains is not counted. Compared in float32, so that a bound is its nearest
    float32, the closest that a value can come to it.
    """
    slack = _ROUNDING * max(abs(low or 0.0), abs(high or 0.0)) if rounding else 0.0
    return bool((low is not None and least + slack < low) or (high is not None and most - slack > high))


def need_within(name: str, value: npt.ArrayLike, low: float | None, high: float | None) -> None:
    """Raise InputError unless `value` lies in [low, high], but for rounding; None is no bound."""
    array = np.asarray(value, np.float32)
    least, most = array.min(), array.max()
    if outside(least, most, low, high, rounding=True):
        values = f"is {least:g}" if array.ndim == 0 else f"has values from {least:g} to {most:g}"
        raise InputError(f"{name} {values}, and the model's input from {low} to {high}")


def number_or_array(name: str, value: object) -> float | FixedArray:
    """A finite number as float, anything else as an array; InputError if it is neither, or of bytes."""
    need_no_levels(name, value)
    fixed = FixedArray(name, value)  # type: ignore[arg-type]
    return float(fixed.array) if fixed.array.ndim == 0 else fixed


def several(name: str, value: object) -> FixedArray:
    """`value` as an array of inputs [m, *shape]; InputError for bytes and fewer than two dimensions."""
    need_no_levels(name, value)
    fixed = FixedArray(name, value)  # type: ignore[arg-type]
    if fixed.array.ndim < 2:
        raise InputError(f"{name} has shape {list(fixed.array.shape)}, it must be inputs [m, *shape]")
    return fixed
