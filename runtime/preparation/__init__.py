"""From photos, in whatever form callers have them, to the model's input."""

from fluxpath.runtime.preparation.preparation import Preparation

__all__ = ["Preparation"]
