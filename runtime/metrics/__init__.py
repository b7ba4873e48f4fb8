"""Is the explanation right? Measures of attributions, one definition per file."""

from fluxpath.runtime.metrics.base import Case, Found, Measured, Metric
from fluxpath.runtime.metrics.measuring import Measuring, measure
from fluxpath.runtime.metrics.named import METRICS, metric_named
from fluxpath.runtime.metrics.presets import PRESETS, preset
from fluxpath.runtime.metrics.removal.deletion import Deletion
from fluxpath.runtime.metrics.removal.insertion import Insertion
from fluxpath.runtime.metrics.removal.insertion_minus_deletion import InsertionMinusDeletion

__all__ = [
    "METRICS",
    "PRESETS",
    "Case",
    "Deletion",
    "Found",
    "Insertion",
    "InsertionMinusDeletion",
    "Measured",
    "Measuring",
    "Metric",
    "measure",
    "metric_named",
    "preset",
]
