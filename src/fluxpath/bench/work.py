"""What the sides of a comparison are built from, what they are asked, and what they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from fluxpath.manifest import Manifest
from fluxpath.runtime import Method

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Slots = int | Literal["auto"] | None

Explained = tuple[Floats, Integers | None]
"""Attributions [n, *shape], and steps [n] where the method counts them."""


class LeftOut(Exception):  # noqa: N818  # no error: the rest of the comparison goes on
    """A side that cannot be had here; the message is the reason."""


@dataclass(frozen=True)
class Setup:
    """What a side is built from.

    graph: the gradient graph. make: called in the side's own process, gives the torch.nn.Module that the
    graph was exported from; None if there is none. images: an .npy file, float32 [n, *shape]. targets: int64
    [n], the classes to explain. threads: of every side. device: "cpu", "cuda" or "cuda:1".
    output: the logits in what the module returns; None finds them.
    """

    graph: Path
    manifest: Manifest
    make: Callable[[], Any] | None
    images: Path
    targets: Integers
    threads: int
    device: str = "cpu"
    trust: bool = False
    output: str | None = None

    def pixels(self) -> Floats:
        """The images, read from the disk as they are needed."""
        images: Floats = np.load(self.images, mmap_mode="r")
        return images


@dataclass(frozen=True)
class Work:
    """Explain the images `first`, `first` + 1, ... `last` - 1 in one call.

    method: None is one gradient step, the derivative of the objective at the images themselves. slots: how
    many points are evaluated at a time; "auto" lets fluxpath measure what suits it, None is its default.
    channels_last: the memory order of the best eager loop. same_noise: a method's random points are
    fluxpath's, so that attributions can be compared. moved: fluxpath explains images whose last bits are
    others, which shows what rounding does.
    """

    method: Method | None
    first: int
    last: int
    slots: Slots = 32
    channels_last: bool = False
    same_noise: bool = False
    moved: bool = False

    @property
    def count(self) -> int:
        """Of images."""
        return self.last - self.first

    @property
    def points(self) -> int:
        """`slots` as a side of torch has them, for which a number was chosen."""
        assert isinstance(self.slots, int)
        return self.slots


@dataclass(frozen=True)
class Facts:
    """What fluxpath tells of a piece of work.

    evaluations: gradients an image. outside: the share of the time in which the gradient graph does not run.
    slots: how many points it evaluated at a time at most. Both are None for a single gradient step.
    """

    evaluations: float
    outside: float | None
    slots: int | None = None


class Side(Protocol):
    """One way of explaining, in its own process. Each method raises LeftOut for what it cannot do."""

    def warm(self, work: Work) -> None:
        """A little of such work, untimed: it wakes the side's threads."""
        ...

    def explain(self, work: Work) -> Explained:
        """What is timed: images on the host to attributions on the host."""
        ...
