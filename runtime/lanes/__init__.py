"""The arrays that methods see, with one row per lane, and the collectors that combine an image's lanes."""

from fluxpath.runtime.lanes.gathering import Collector
from fluxpath.runtime.lanes.lanes import Companions, Fresh, Lanes, Slots

__all__ = ["Collector", "Companions", "Fresh", "Lanes", "Slots"]
