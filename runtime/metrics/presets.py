"""Metrics as they were defined elsewhere: published numbers can be compared under these settings alone.

Each preset names whose definition it is and how it differs from ours; docs/metrics.md has them as a table.
"""

from __future__ import annotations

from collections.abc import Mapping

from fluxpath.making import unknown
from fluxpath.runtime.metrics.base import Metric
from fluxpath.runtime.metrics.removal.deletion import Deletion
from fluxpath.runtime.metrics.removal.insertion import Insertion
from fluxpath.runtime.metrics.removal.insertion_minus_deletion import InsertionMinusDeletion

_BOTH = ("black", "blur")

PRESETS: Mapping[str, Mapping[str, Metric]] = {
    "rise": {
        "insertion": Insertion("rise-blur", 224),
        "deletion": Deletion("zero", 224),
    },
    "neflag": {
        "insertion": Insertion(_BOTH, 224),
        "deletion": Deletion(_BOTH, 224),
        "insertion-minus-deletion": InsertionMinusDeletion(_BOTH, 224),
    },
}
"""For each preset its columns: a name and the metric."""


def preset(name: str) -> Mapping[str, Metric]:
    """The metrics of a preset, one of `PRESETS`, by the name of their column; InputError for another name."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]
