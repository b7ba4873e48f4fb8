"""Where the results of `Explainer.attribute_many` go: a file, a folder, or your own object."""

from fluxpath.runtime.bulk.sinks.base import Sink
from fluxpath.runtime.bulk.sinks.opening import form_of, open_sink

__all__ = ["Sink", "form_of", "open_sink"]
