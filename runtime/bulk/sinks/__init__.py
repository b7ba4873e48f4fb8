"""Where the results of `Explainer.attribute_many` go: a file, a folder, or your own object."""

from fluxpath.runtime.bulk.sinks.base import Sink
from fluxpath.runtime.bulk.sinks.opening import open_sink

__all__ = ["Sink", "open_sink"]
