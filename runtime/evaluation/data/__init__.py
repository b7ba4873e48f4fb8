"""Images with labels and masks, from whatever they are kept in."""

from fluxpath.runtime.evaluation.data.base import Data, Datum
from fluxpath.runtime.evaluation.data.opening import open_data

__all__ = ["Data", "Datum", "open_data"]
