"""Where the results of `Explainer.attribute_many` go: a file or folder, or an object of your own."""

from fluxpath.runtime.sinks.base import Sink
from fluxpath.runtime.sinks.opening import open_sink

__all__ = ["Sink", "open_sink"]
