"""The base class of methods."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

from fluxpath.arrays import FixedArray
from fluxpath.runtime.lanes import Collector, Lanes, Slots
from fluxpath.runtime.lanes.gathering import Total


class Method(ABC):
    """Settings of an attribution method: derive a frozen, hashable dataclass that says how lanes advance.

    The engine puts every lane of an image at the image itself and calls `start`. After each gradient
    evaluation it calls `advance`, until the lane's `lanes.status` is not RUNNING; `lanes.sum` is then the
    lane's attribution. An image's attribution is the sum over its lanes, or the result of the `collector`.
    `start` and `advance` must use only the slots they are given, so that the result does not depend on what
    else is running. Everything except `advance` has a default, which suits a single walk from the image.
    """

    rules: ClassVar[str] = "gradient"
    """The rules with which the file must have been exported."""

    @property
    def lanes(self) -> int:
        """The number of lanes per image."""
        return 1

    @property
    def starts_at_image(self) -> bool:
        """Whether every lane's first gradient is taken at the image itself.

        If not, and without an `image_lane`, the engine evaluates the image once more, for the score and the
        predicted class in the result, even if the caller gives the target.
        """
        return True

    @property
    def image_lane(self) -> int | None:
        """The number of the only lane whose first gradient is taken at the image; None if there is none.

        This saves the engine the extra evaluation of the image. If the model chooses the target, this lane
        runs before the others.
        """
        return None

    @property
    def end_lane(self) -> int | None:
        """The number of the lane whose last score is the `Attribution`'s end score; None for no end score."""
        return 0 if self.starts_at_image and self.lanes == 1 else None

    @property
    def shortest(self) -> int:
        """The fewest evaluations before a lane can end; only a zero or non-finite gradient ends it sooner.

        If above 1, `advance` must only call a fused kernel: on a device the engine does not read the status
        before that many evaluations, so `advance` must skip lanes that have ended.
        """
        return 1

    @property
    def reach(self) -> Literal["whole", "signs"] | None:
        """How the distance to the boundary is measured, if lengths of this method are in units of it.

        It is `Lanes.reach`, as far as a step along the gradient goes ("whole", by its L2 norm) or as far as
        each element goes in a step along its sign ("signs", L1). Where no lane starts at the image, the
        engine measures it before the lanes begin. None if no length needs it.
        """
        return None

    @property
    def usual(self) -> float | None:
        """The evaluations that an image seldom exceeds, if that is known to be less than the settings allow.

        A server predicts by it what a request costs, until it has seen what such requests took.
        """
        return None

    @property
    def anchors(self) -> Mapping[str, float | FixedArray]:
        """The settings that stand for inputs of the model, such as a baseline: they must be in its range."""
        return {}

    def check(self, shape: tuple[int, ...]) -> None:  # noqa: B027
        """Raise InputError unless the settings fit inputs of this shape (without the batch)."""

    def fitted(self, classes: int) -> Method:
        """The settings to use instead of these on a model with this number of classes."""
        return self

    def collector(self, features: int) -> Collector:
        """A new collector for one image; override it if the attribution is not the sum over the lanes.

        On a device, a user-defined collector costs a copy to the host per lane.
        """
        return Total(features)

    def start(self, lanes: Lanes, slots: Slots, numbers: Slots) -> None:  # noqa: B027
        """Move new lanes, `numbers` 0 .. lanes-1 within their image, from the image to their first point."""

    @abstractmethod
    def advance(self, lanes: Lanes, slots: Slots) -> None:
        """Use the gradients at `lanes.point`, then move the lanes on or set their `lanes.status`."""
