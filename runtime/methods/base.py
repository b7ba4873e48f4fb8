"""What the engine knows of a method."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from fluxpath.runtime.lanes import Lanes, Slots


@runtime_checkable
class Method(Protocol):
    """A frozen, hashable set of settings with two functions on lanes.

    The engine puts every lane of an image at the image itself and calls `start`; then, after each gradient
    evaluation, `advance`, until `lanes.status` of the lane is not RUNNING; `lanes.sum` is then its
    attribution. An image's attribution is the sum over its lanes. Neither function may look at slots other
    than those given, so the result does not depend on what else is running.
    """

    @property
    def lanes(self) -> int:
        """How many lanes an image needs."""
        ...

    @property
    def starts_at_image(self) -> bool:
        """Whether every lane's first gradient is taken at the image itself.

        Where not, the engine evaluates the image once more for its score and predicted class.
        """
        ...

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:
        """Move fresh lanes (`numbers` 0 .. lanes-1 within their image) to their first point."""
        ...

    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Use the gradients at `lanes.point`; then move on, or set `lanes.status`."""
        ...
