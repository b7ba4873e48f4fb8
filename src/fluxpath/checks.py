"""Checks of values that a caller passes; each error names the value and what it must be."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from fluxpath.errors import InputError

_NUMBERS = (int, float, np.integer, np.floating)


def need(ok: object, message: str) -> None:
    """Raise InputError with this message unless `ok` is true."""
    if not ok:
        raise InputError(message)


def one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    """Raise InputError unless `value` is one of `allowed`."""
    if value not in allowed:
        choices = " or ".join(repr(a) for a in allowed)
        raise InputError(f"{name} is {value!r}, it must be {choices}")


def whole(name: str, value: object, least: int, most: int = 2**31 - 1) -> None:
    """Raise InputError unless `value` is an integer from `least` to `most`."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(f"{name} is {value!r}, it must be an integer from {least} to {most}")


def positive(name: str, value: object) -> None:
    """Raise InputError unless `value` is a number above zero, also in float32, where the kernels compute."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not 1e-37 < value < 1e37:
        raise InputError(f"{name} is {value!r}, it must be a finite number above zero (1e-37 to 1e37)")


def number(name: str, value: object, least: float, most: float) -> None:
    """Raise InputError unless `value` is a number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not least <= value <= most:
        raise InputError(f"{name} is {value!r}, it must be a number from {least:g} to {most:g}")


def plain(settings: Any) -> None:
    """Put Python's numbers in the place of numpy's in a frozen dataclass, so that its repr is the same."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, np.generic):
            object.__setattr__(settings, field.name, value.item())
