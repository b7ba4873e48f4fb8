"""Metrics by name: fluxpath's own, and classes of one's own by module and class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fluxpath.errors import InputError
from fluxpath.making import imported, made_with, unknown
from fluxpath.runtime.metrics.base import Metric
from fluxpath.runtime.metrics.completeness.completeness_gap import CompletenessGap
from fluxpath.runtime.metrics.completeness.error_rate import ErrorRate
from fluxpath.runtime.metrics.completeness.infidelity import Infidelity
from fluxpath.runtime.metrics.completeness.sensitivity_n import SensitivityN
from fluxpath.runtime.metrics.complexity.entropy import Entropy
from fluxpath.runtime.metrics.complexity.gini import Gini
from fluxpath.runtime.metrics.information.accuracy_information import AccuracyInformationCurve
from fluxpath.runtime.metrics.information.softmax_information import SoftmaxInformationCurve
from fluxpath.runtime.metrics.localisation.pointing_game import PointingGame
from fluxpath.runtime.metrics.localisation.relevance_mass import RelevanceMass
from fluxpath.runtime.metrics.localisation.relevance_rank import RelevanceRank
from fluxpath.runtime.metrics.removal.deletion import Deletion
from fluxpath.runtime.metrics.removal.diffid import DiffID
from fluxpath.runtime.metrics.removal.insertion import Insertion
from fluxpath.runtime.metrics.removal.insertion_minus_deletion import InsertionMinusDeletion
from fluxpath.runtime.metrics.removal.symmetric_relevance_gain import SymmetricRelevanceGain
from fluxpath.runtime.metrics.robustness.average_sensitivity import AverageSensitivity
from fluxpath.runtime.metrics.robustness.max_sensitivity import MaxSensitivity

METRICS: Mapping[str, type[Metric]] = {
    "insertion": Insertion,
    "deletion": Deletion,
    "insertion-minus-deletion": InsertionMinusDeletion,
    "symmetric-relevance-gain": SymmetricRelevanceGain,
    "aic": AccuracyInformationCurve,
    "sic": SoftmaxInformationCurve,
    "diffid": DiffID,
    "error-rate": ErrorRate,
    "completeness-gap": CompletenessGap,
    "sensitivity-n": SensitivityN,
    "infidelity": Infidelity,
    "max-sensitivity": MaxSensitivity,
    "average-sensitivity": AverageSensitivity,
    "gini": Gini,
    "entropy": Entropy,
    "pointing-game": PointingGame,
    "relevance-mass": RelevanceMass,
    "relevance-rank": RelevanceRank,
}
"""The metrics by their names on the command line."""


def metric_named(name: str, **settings: Any) -> Metric:
    """The metric `name` with these settings, as in metric_named("insertion", substrate="mean").

    name: one of `METRICS`; or "package.module:Class", a class derived from `Metric`, whose module is
        imported: that runs its code, so take no such name from a stranger.
    settings: the class's, where they are not to be its defaults.

    Raises InputError for a name that there is not, and for settings that are unknown, missing or wrong.
    """
    return made_with(name, class_named(name), settings)


def class_named(name: str) -> type[Metric]:
    """The class that a name means; see `metric_named`."""
    if name in METRICS:
        return METRICS[name]
    if ":" not in name:
        raise InputError(f"{unknown('metric', name, METRICS)}; one's own is named package.module:Class")
    return imported(name, Metric, "fluxpath.runtime.metrics.Metric")  # type: ignore[type-abstract]
