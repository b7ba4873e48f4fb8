"""What the engine knows of a method."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from fluxpath.runtime.lanes import Lanes, Slots
from fluxpath.runtime.lanes.gathering import Collector


@runtime_checkable
class Method(Protocol):
    """A frozen, hashable set of settings with two functions on lanes.

    The engine puts every lane of an image at the image itself and calls `start`; then, after each gradient
    evaluation, `advance`, until `lanes.status` of the lane is not RUNNING; `lanes.sum` is then its
    attribution. An image's attribution is the sum over its lanes, or what a `Collecting` method makes of
    them. Neither function may look at slots other than those given, so the result does not depend on what
    else is running. A method may also be `Marked`, `Fused`, `Checked` or `Fitted`, or have single members
    of these.
    """

    @property
    def lanes(self) -> int:
        """How many lanes an image needs."""
        ...

    @property
    def starts_at_image(self) -> bool:
        """Whether every lane's first gradient is taken at the image itself.

        Where not, and no lane is `Marked` as the image's, the engine evaluates the image once, for the score
        and the predicted class in the result, whether or not the caller names the target.
        """
        ...

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """Move fresh lanes (`numbers` 0 .. lanes-1 within their image) to their first point."""
        ...

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Use the gradients at `lanes.point`; then move on, or set `lanes.status`."""
        ...


class Collecting(Protocol):
    """A method whose attribution is something else than the sum over an image's lanes.

    Where lanes live on a device, a collector of the caller's own has each lane's row copied to the host.
    """

    def collector(self, features: int) -> Collector:
        """A fresh collector for one image."""
        ...


class Marked(Protocol):
    """A method that says where the image and the path's end are among its lanes; either may be None."""

    @property
    def image_lane(self) -> int | None:
        """The lane whose first gradient is taken at the image, though others' are not.

        The engine then needs no evaluation of its own there; where the target is left to the model, that lane
        goes before the others.
        """
        ...

    @property
    def end_lane(self) -> int | None:
        """The lane whose last score is the `Attribution`'s end score. Default: that of a single walk."""
        ...


class Fused(Protocol):
    """A method whose `advance` is a fused kernel and nothing else: the host need not look at every step."""

    @property
    def shortest(self) -> int:
        """How many evaluations a lane takes at the least, but for a gradient that is zero or not finite.

        Where lanes live on a device, nobody waits to hear which have ended before one may have; `advance`
        must leave alone those that did. Default: 1.
        """
        ...


class Checked(Protocol):
    """A method with settings that not every model can take."""

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise InputError unless inputs of this shape, without the batch, fit the settings."""
        ...


class Fitted(Protocol):
    """A method whose number of lanes depends on how many classes the model has."""

    def fitted(self, classes: int) -> Method:
        """The method to run in this one's place on a model of so many classes."""
        ...


class FromImage:
    """What methods of one lane an image have in common whose first gradient is taken at the image."""

    @property
    def lanes(self) -> int:
        """One an image."""
        return 1

    @property
    def starts_at_image(self) -> bool:
        """Yes."""
        return True

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """The lane is at the image already."""
