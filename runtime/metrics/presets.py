"""Metrics as they were defined elsewhere: published numbers can be compared under these settings alone.

"rise": Petsiuk, Das, Saenko, BMVC 2018, by their code. Pixels are put into RISE's blurred image, and become
    zeros of the normalised image; 224 steps, which at 224 x 224 are 224 pixels each, as there. Differs in
    ties, which its code leaves open, and in the class: there the predicted one.
"neflag": Li, Pan, Li, Qiang, Zhu, IJCAI 2023, appendix A.2. Both games, on black and on the image under a
    Gaussian of sigma 20, and the mean of the two. The appendix names no number of steps: 224, RISE's. Whether
    its black is that of the image or of the normalised one is not said: here the image's.
"mfaba-paper": Zhu et al., AAAI 2024, as its text has it: RISE's scores, the error rate of Table 1 and
    the area under the accuracy information curve of Table 2. The text names no substrate: black, its code's.
"mfaba-published": the same, as the authors' code has it. Each channel's pixels are ranked apart, so that a
    step changes the first pixels of the red, of the green and of the blue channel, which need not be the
    same: that is not RISE's definition, and the numbers of the two cannot be compared. Both games are played
    on black. The code ranks by a sort that is not stable, and scores the predicted class while it explains
    the label. It has no error rate and no information curve.
"quantus": the defaults of Quantus 0.6.0, for maps summed over channels, as `quantus.explain` makes them.
    Pixel flipping there changes one number at a time and gives the curve without its first point: here 224
    steps and the area under the whole curve, in [0, 1]. Its "black" is the lowest number of the image at
    hand, here that of the range. Robustness is measured at 200 neighbours within 0.2 of the range, clipped
    here. Relevance mass divides signed sums. Its SensitivityN and Infidelity are other quantities than those
    of their papers (see those metrics), and are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from fluxpath.making import unknown
from fluxpath.runtime.metrics.base import Metric
from fluxpath.runtime.metrics.completeness.error_rate import ErrorRate
from fluxpath.runtime.metrics.complexity.entropy import Entropy
from fluxpath.runtime.metrics.complexity.gini import Gini
from fluxpath.runtime.metrics.information.accuracy_information import AccuracyInformationCurve
from fluxpath.runtime.metrics.localisation.pointing_game import PointingGame
from fluxpath.runtime.metrics.localisation.relevance_mass import RelevanceMass
from fluxpath.runtime.metrics.localisation.relevance_rank import RelevanceRank
from fluxpath.runtime.metrics.removal.deletion import Deletion
from fluxpath.runtime.metrics.removal.insertion import Insertion
from fluxpath.runtime.metrics.removal.insertion_minus_deletion import InsertionMinusDeletion
from fluxpath.runtime.metrics.robustness.average_sensitivity import AverageSensitivity
from fluxpath.runtime.metrics.robustness.max_sensitivity import MaxSensitivity

_STEPS = 224
_BOTH = ("black", "blur")

PRESETS: Mapping[str, Mapping[str, Metric]] = {
    "rise": {
        "insertion": Insertion("rise-blur", _STEPS),
        "deletion": Deletion("zero", _STEPS),
    },
    "neflag": {
        "insertion": Insertion(_BOTH, _STEPS),
        "deletion": Deletion(_BOTH, _STEPS),
        "insertion-minus-deletion": InsertionMinusDeletion(_BOTH, _STEPS),
    },
    "mfaba-paper": {
        "insertion": Insertion("black", _STEPS),
        "deletion": Deletion("black", _STEPS),
        "aic": AccuracyInformationCurve(),
        "error-rate": ErrorRate(),
    },
    "mfaba-published": {
        "insertion": Insertion("black", _STEPS, "channels"),
        "deletion": Deletion("black", _STEPS, "channels"),
    },
    "quantus": {
        "pixel-flipping": Deletion("black", _STEPS),
        "max-sensitivity": MaxSensitivity(samples=200, radius=0.2),
        "average-sensitivity": AverageSensitivity(samples=200, radius=0.2),
        "sparseness": Gini(),
        "complexity": Entropy(),
        "pointing-game": PointingGame(),
        "relevance-mass": RelevanceMass(signed=True),
        "relevance-rank": RelevanceRank(),
    },
}
"""For each preset its columns: a name and the metric."""


def preset(name: str) -> Mapping[str, Metric]:
    """The metrics of a preset, one of `PRESETS`, by the name of their column; InputError for another name."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name]
