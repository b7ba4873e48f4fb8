"""The softmax information curve: how much of the probability comes with how much of the information."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fluxpath.runtime.metrics.information.curve import InformationCurve


@dataclass(frozen=True)
class SoftmaxInformationCurve(InformationCurve):
    """SIC: Kapishnikov, Bolukbasi, Viegas, Terry: "XRAI: Better Attributions Through Regions", ICCV 2019,
    Section 4.2 (performance information curves).

    In the blurred image (`substrate`) the shares `fractions` of the image's pixels are revealed, those with
    the largest attribution first. Of each of these images, with H the size of its lossless file and p the
    target's probability, and those of the blurred image H_0, p_0 and the image itself H_1, p_1:

        information = clip((H - H_0) / (H_1 - H_0), 0, 1)
        score = clip((p - p_0) / (p_1 - p_0), 0, 1), made to rise only (`monotonous`, as in the paper)

    The curve runs straight between these points from (0, 0) to (1, 1); of several at the same information the
    best counts. The value is the area under it, by the trapezoid rule at 1001 places, for each image; the
    paper reports the area under the median of the images' curves, which "score" is given for. NaN where
    p_1 <= p_0, H_1 <= H_0, or p_1 is below `least`. A pixel's attribution is the sum over its channels; of
    equal ones the lower number comes first. codec: see `file_sizes`. Needs pictures of 1 or 3 channels.

    PAIR's code (saliency/metrics/pic.py) differs, and has quirks of its own. It reveals every pixel at or
    above a quantile, so a map with many equal values reveals them all at once. Its blur is a linear
    interpolation between a random hundredth of the pixels and the revealed ones, so it depends on a mask
    drawn for each image ("linear" is nearest to it here). It skips images of a probability below 0.8
    (least=0.8), which makes the set of images depend on the model. Two points of the same information have no
    defined order there. The model is given the image in 8 bits, here as it is; the file is made of 8 bits in
    both.

    Curves: "information" [1001] and "score" [1001].
    """

    score: ClassVar[str] = "probability"
