"""The arrays that methods see, a row per lane, and how an image's lanes are gathered."""

from fluxpath.runtime.lanes.gathering import Collector
from fluxpath.runtime.lanes.lanes import Companions, Fresh, Lanes, Slots

__all__ = ["Collector", "Companions", "Fresh", "Lanes", "Slots"]
