"""The arrays that methods see, a row per lane, and how an image's lanes are gathered."""

from fluxpath.runtime.lanes.lanes import Lanes, Slots

__all__ = ["Lanes", "Slots"]
