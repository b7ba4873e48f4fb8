"""The accuracy information curve: with how much of the information the class is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fluxpath.runtime.metrics.information.curve import InformationCurve


@dataclass(frozen=True)
class AccuracyInformationCurve(InformationCurve):
    """AIC: Kapishnikov, Bolukbasi, Viegas, Terry: "XRAI: Better Attributions Through Regions", ICCV 2019,
    Section 4.2.

    As `SoftmaxInformationCurve`, whose definition, settings and differences from PAIR's code hold here too,
    with 1 in the place of the probability where the target is the best class, and 0 where it is not. NaN
    where the target is not the best class at the image, or is at the blurred one. The two curves share their
    evaluations. MFABA's Table 2 calls its area "AUC".
    """

    score: ClassVar[str] = "accuracy"
