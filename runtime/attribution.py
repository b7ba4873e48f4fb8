"""What an attribution request returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Attribution:
    """Attributions of n images and how they came about; the first dimension of every array is n.

    values: float32 [n, *input shape], in units of the objective (positive is evidence for the target).
    target: int64 [n], the explained class. label: int64 [n], the predicted class.
    steps: int32 [n], steps taken, summed over the image's lanes. status: int32 [n], a `Status`.
    score: float32 [n], the objective at the image.
    end_score: float32 [n], the objective where the walk ended, or at the baseline; NaN where an image has no
        such point (BIG finds no boundary). None for methods that have no single end point or do not evaluate
        the model there.
    """

    values: npt.NDArray[np.float32]
    target: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int32]
    status: npt.NDArray[np.int32]
    score: npt.NDArray[np.float32]
    end_score: npt.NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.target)

    @property
    def error_rate(self) -> npt.NDArray[np.float64]:
        """How far each attribution is from complete, float64 [n]; 0 is exact.

        |sum(values) - (score(x_0) - score(x_n))| / |score(x_0) - score(x_n)|: how far the ratio in the MFABA
        paper's "error rate evaluation indicators" is from one, which its Table 1 reports.
        Infinite where the score did not change but the sum is not zero. NaN where there is no end score: for
        every image of a method that has none (`end_score` is None), as NeFLAG of several samples or Saliency.
        """
        if self.end_score is None:
            return np.full(len(self), np.nan)
        change = self.score.astype(np.float64) - self.end_score
        total = self.values.reshape(len(self), -1).sum(axis=1, dtype=np.float64)
        gap = np.abs(total - change)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(gap == 0, 0.0, gap / np.abs(change))
