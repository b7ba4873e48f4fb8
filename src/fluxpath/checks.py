"""Checks of values that a caller passes; each error names the value and what it must be."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from numbers import Integral, Real  # what numpy's numbers are too
from typing import Any

from fluxpath.errors import InputError


def need(ok: object, message: str) -> None:
    """Raise InputError with this message unless `ok` is true."""
    if not ok:
        raise InputError(message)


def one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    """Raise InputError unless `value` is one of `allowed`."""
    if value not in allowed:
        choices = " or ".join(repr(a) for a in allowed)
        raise InputError(f"{name} is {value!r}, it must be {choices}")


def whole(name: str, value: Any, least: int, most: int = 2**31 - 1) -> None:
    """Raise InputError unless `value` is an integer from `least` to `most`."""
    if not _is(Integral, value) or not least <= value <= most:
        raise InputError(f"{name} is {value!r}, it must be an integer from {least} to {most}")


def positive(name: str, value: Any) -> None:
    """Raise InputError unless `value` is a number above zero, also in float32, where the kernels compute."""
    if not _is(Real, value) or not 1e-37 < value < 1e37:
        raise InputError(f"{name} is {value!r}, it must be a finite number above zero (1e-37 to 1e37)")


def number(name: str, value: Any, least: float, most: float) -> None:
    """Raise InputError unless `value` is a number from `least` to `most`."""
    if not _is(Real, value) or not least <= value <= most:
        raise InputError(f"{name} is {value!r}, it must be a number from {least:g} to {most:g}")


def _is(kind: type, value: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def plain(settings: Any) -> None:
    """Put Python's numbers in the place of numpy's in a frozen dataclass, so that its repr is the same."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            object.__setattr__(settings, field.name, value.item())
