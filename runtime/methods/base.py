"""What a method is to the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from fluxpath.runtime.lanes import Collector, Lanes, Slots
from fluxpath.runtime.lanes.gathering import Total


class Method(ABC):
    """Settings of an attribution method: derive a frozen, hashable dataclass that says how lanes advance.

    The engine puts every lane of an image at the image itself and calls `start`; then, after each gradient
    evaluation, `advance`, until `lanes.status` of the lane is not RUNNING; `lanes.sum` is then its
    attribution. An image's attribution is the sum over its lanes, or what the `collector` makes of them.
    Neither function may look at slots other than those given, so the result does not depend on what else is
    running. Everything but `advance` has a default, that of a single walk from the image.
    """

    rules: ClassVar[str] = "gradient"
    """The rules that a file must have been exported with."""

    @property
    def lanes(self) -> int:
        """How many lanes an image needs."""
        return 1

    @property
    def starts_at_image(self) -> bool:
        """Whether every lane's first gradient is taken at the image itself.

        Where not, and there is no `image_lane`, the engine evaluates the image once, for the score and the
        predicted class in the result, whether or not the caller names the target.
        """
        return True

    @property
    def image_lane(self) -> int | None:
        """The lane whose first gradient is taken at the image, though the others' are not; None for none.

        The engine then needs no evaluation of its own there; where the target is left to the model, that lane
        goes before the others.
        """
        return None

    @property
    def end_lane(self) -> int | None:
        """The lane whose last score is the `Attribution`'s end score; None where there is no such point."""
        return 0 if self.starts_at_image and self.lanes == 1 else None

    @property
    def shortest(self) -> int:
        """The fewest evaluations before a lane can end, except for a gradient that is zero or not finite.

        Above 1, `advance` must be a fused kernel and nothing else: where lanes live on a device, their status
        is not read earlier, so `advance` must skip lanes that have ended.
        """
        return 1

    def check(self, shape: tuple[int, ...]) -> None:  # noqa: B027
        """Raise InputError unless inputs of this shape, without the batch, fit the settings."""

    def fitted(self, classes: int) -> Method:
        """The method to run in this one's place on a model of so many classes."""
        return self

    def collector(self, features: int) -> Collector:
        """A fresh collector for one image, where an attribution is not the sum over the image's lanes.

        Where lanes live on a device, a collector of your own has each lane's row copied to the host.
        """
        return Total(features)

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:  # noqa: B027
        """Move fresh lanes, `numbers` 0 .. lanes-1 within their image, from the image to where they begin."""

    @abstractmethod
    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Use the gradients at `lanes.point`; then move on, or set `lanes.status`."""
