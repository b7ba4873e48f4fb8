"""What an index means where n images stand together."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def selected(index: Any, count: int) -> slice | npt.NDArray[np.intp]:
    """Which of `count` images an index selects: a number as a slice, so that no dimension is lost.

    IndexError for anything but a number, a slice, or a list or array of numbers or booleans.
    """
    if isinstance(index, slice):
        return index
    number = number_of(index)
    if number is not None:
        if not -count <= number < count:
            raise IndexError(f"there is no image {number}: there are {count}")
        return slice(number, number + 1 or None)
    # numpy has further indices, as tuples and ..., of which each array would make something else
    listed = isinstance(index, Sequence | np.ndarray) and not isinstance(index, tuple | str)
    try:
        chosen = np.asarray(index if listed else None)
    except ValueError:  # lists of unequal length
        chosen = np.asarray(None)
    if chosen.ndim != 1 or (chosen.size and chosen.dtype.kind not in "iub"):
        raise IndexError("images are indexed by a number, a slice or a list of numbers or booleans")
    rows: npt.NDArray[np.intp] = np.arange(count)[chosen if chosen.size else []]
    return rows


def number_of(index: Any) -> int | None:
    """The index as an integer, None if it is none: True is no image's number."""
    if isinstance(index, bool | np.bool_):
        return None
    try:
        return operator.index(index)
    except TypeError:
        return None
