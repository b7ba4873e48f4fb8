"""How close attributions are to exact ones: by rank, by distance, by the number of steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.runtime.attribution import Attribution

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fidelity:
    """A comparison of n images, one entry per image in every array.

    rank_correlation: Spearman's correlation, float64 in [-1, 1]; 0 where only one attribution is constant.
    distance: |given - exact| / |exact| in L2, float64; infinite where exact is zero and given is not.
    equal_steps: bool, whether both took the same number of steps.
    """

    rank_correlation: Float64
    distance: Float64
    equal_steps: npt.NDArray[np.bool_]


def fidelity(given: Attribution, exact: Attribution) -> Fidelity:
    """Compare attributions of the same images and targets; InputError if shapes or targets differ."""
    if given.values.shape != exact.values.shape or not np.array_equal(given.target, exact.target):
        raise InputError(
            f"the attributions have shapes {given.values.shape} and {exact.values.shape}, or their targets "
            "differ: compare attributions of the same images for the same targets"
        )
    pairs = list(zip(_rows(given), _rows(exact), strict=True))
    return Fidelity(
        np.array([_spearman(a, b) for a, b in pairs]),
        np.array([_distance(a, b) for a, b in pairs]),
        given.steps == exact.steps,
    )


def _rows(result: Attribution) -> Float64:
    return result.values.reshape(len(result), -1).astype(np.float64)


def _distance(given: Float64, exact: Float64) -> float:
    apart, size = float(np.linalg.norm(given - exact)), float(np.linalg.norm(exact))
    return apart / size if size > 0 else (0.0 if apart == 0 else np.inf)


def _spearman(given: Float64, exact: Float64) -> float:
    found = rank_correlation(given, exact)
    return (
        float((given == given.flat[0]).all() and (exact == exact.flat[0]).all()) if np.isnan(found) else found
    )


def rank_correlation(a: Float64, b: Float64) -> float:
    """Spearman's rank correlation, tied values sharing their mean rank; NaN where one side is constant."""
    x, y = (ranks - ranks.mean() for ranks in (_ranks(a), _ranks(b)))
    size = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / size if size > 0 else float("nan")


def _ranks(values: Float64) -> Float64:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Float64 = (last - (counts - 1) / 2)[which.reshape(-1)]
    return ranks
