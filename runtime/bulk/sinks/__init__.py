"""Where the results of `Explainer.attribute_many` go: a file or folder, or an object of your own."""

from fluxpath.runtime.bulk.sinks.base import Sink
from fluxpath.runtime.bulk.sinks.opening import open_sink

__all__ = ["Sink", "open_sink"]
