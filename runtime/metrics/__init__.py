"""Is the explanation right? Measures of attributions, one definition per file."""

from fluxpath.runtime.metrics.base import Case, Found, Measured, Metric
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
from fluxpath.runtime.metrics.measuring import Measuring, measure
from fluxpath.runtime.metrics.named import METRICS, metric_named
from fluxpath.runtime.metrics.presets import PRESETS, preset
from fluxpath.runtime.metrics.randomisation import Randomised, parameter_randomisation
from fluxpath.runtime.metrics.removal.deletion import Deletion
from fluxpath.runtime.metrics.removal.diffid import DiffID
from fluxpath.runtime.metrics.removal.insertion import Insertion
from fluxpath.runtime.metrics.removal.insertion_minus_deletion import InsertionMinusDeletion
from fluxpath.runtime.metrics.removal.symmetric_relevance_gain import SymmetricRelevanceGain
from fluxpath.runtime.metrics.robustness.average_sensitivity import AverageSensitivity
from fluxpath.runtime.metrics.robustness.max_sensitivity import MaxSensitivity

__all__ = [
    "METRICS",
    "PRESETS",
    "AccuracyInformationCurve",
    "AverageSensitivity",
    "Case",
    "CompletenessGap",
    "Deletion",
    "DiffID",
    "Entropy",
    "ErrorRate",
    "Found",
    "Gini",
    "Infidelity",
    "Insertion",
    "InsertionMinusDeletion",
    "MaxSensitivity",
    "Measured",
    "Measuring",
    "Metric",
    "PointingGame",
    "Randomised",
    "RelevanceMass",
    "RelevanceRank",
    "SensitivityN",
    "SoftmaxInformationCurve",
    "SymmetricRelevanceGain",
    "measure",
    "metric_named",
    "parameter_randomisation",
    "preset",
]
