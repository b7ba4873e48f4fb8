"""Judges a gradient by its errors: in float32, and where that does not pass, by its rules in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath import manifest as contract
from fluxpath.errors import VerificationError
from fluxpath.export.objectives import Objective
from fluxpath.export.verification.running import Evaluate, running

Float64 = npt.NDArray[np.float64]

TYPICAL_ERROR, LARGEST_ERROR = 1e-3, 0.2
"""Bounds on the median and the worst relative error. A float32 graph stays near 1e-6 but where rounding
carries an activation over a kink; a wrong rule is of the order of one."""

EXACT_ERROR = 1e-5
"""Bound on the median error in float64: the central differences' own is 1e-7."""

LARGEST_SCORE_ERROR = 1e-2
"""Bound on the score's error, which no kink makes large."""


@dataclass(frozen=True)
class Verification:
    """Relative errors of scale * gradient against float64: the worst and the median; and of the score.

    `figures` are those and what else was compared, in words, each with how far it was apart.
    """

    error: float
    typical: float
    score: float
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


Errors = tuple[Float64, float]
"""Relative errors of a gradient, and the score's error."""


def judge(
    evaluate: Evaluate,
    exact: Callable[[], Evaluate],
    feeds: dict[str, npt.NDArray[Any]],
    errors: Callable[[dict[str, Any]], Errors],
    precision: str,
    against: str,
    noise: float = 0.0,
    unavoidable: Callable[[], float] = lambda: 0.0,
) -> Verification:
    """Judge a gradient graph, which `evaluate` runs, by the `errors` of its outputs.

    Raises VerificationError if it is wrong.

    Of an ill-conditioned network a right gradient is far off in float32, and torch's own as far. So where the
    graph in float32 does not pass, its rules are judged in float64, tightly; the errors that are told remain
    float32's. exact: gives the graph in float64. against: what the gradient is held against, in words. noise:
    how far off that may be itself.
    unavoidable: a median error that a right gradient may have in float32, asked for where nothing else helps.
    """
    with running("the gradient graph"):
        found = errors(evaluate(feeds))
    try:
        return judged(*found, precision, against)
    except VerificationError:
        if precision != "float32" or not np.isfinite(found[0]).all():
            raise
        with running("the gradient graph in float64"):
            found_exact, score = errors(_row_by_row(exact(), feeds))
        bound = max(EXACT_ERROR, min(noise, LARGEST_ERROR))
        typical = float(np.median(found_exact))
        if typical > bound or np.max(found_exact) > LARGEST_ERROR or score > EXACT_ERROR:
            # Weights that were multiplied together in float32 can be all the difference.
            return judged(*found, precision, against, max(noise, unavoidable()))
    return _right_but_rounded(found, typical, against)


def _right_but_rounded(found: Errors, exact: float, against: str) -> Verification:
    """What float32 makes of rules that are right; VerificationError where that is worth nothing."""
    result = summary(*found, against)
    if result.typical > LARGEST_ERROR or result.score > LARGEST_ERROR:
        raise VerificationError(
            f"the rules are right, but float32 loses the model's gradient (off by {result.typical:.1e} at "
            f"the median) or its score (by {result.score:.1e}): the values inside are too large or cancel, "
            "so scale the weights, or train them, if this network is as it was initialised"
        )
    note = (
        f"the rules are right, and float32's rounding alone puts the gradient off by {result.typical:.1e} at "
        f"the median, and the score by {result.score:.1e}: the network is ill-conditioned"
    )
    figures = {**result.figures, f"the graph in float64 against {against}, median": exact}
    return replace(result, figures=figures, notes=(note,))


def _row_by_row(evaluate: Evaluate, feeds: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
    """Outputs of every row alone, put together: the reference keeps all values of a run."""
    count = len(next(iter(feeds.values())))
    rows = [evaluate({n: v[i : i + 1] for n, v in feeds.items()}) for i in range(count)]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def scale_ratio(scale: Float64, factor: Float64) -> Float64:
    """The graph's scale by the true one, so that a gradient is compared where both are as small as 1e-300."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(factor == scale, 1.0, scale / factor)
    return np.where(factor < 1e-30, 1.0, ratio)


def summary(errors: Float64, score_error: float, against: str) -> Verification:
    """The relative `errors` of a gradient that was held `against` another, and the error of the score."""
    error, typical = float(np.max(errors)), float(np.median(errors))
    told = {"median": typical, "worst": error}
    figures = {f"gradient against {against}, relative, {name}": value for name, value in told.items()}
    return Verification(error, typical, score_error, {**figures, "score against float64, worst": score_error})


def judged(
    errors: Float64, score_error: float, precision: str, against: str, unavoidable: float = 0.0
) -> Verification:
    """Summarise the relative `errors`; VerificationError if they show that the gradient is wrong.

    unavoidable: a median error that a right gradient may have as well.
    """
    result = summary(errors, score_error, against)
    # Of a half-precision graph the loss is measured; its rules were verified in float32.
    half = precision != "float32"
    typical = max(TYPICAL_ERROR, min(unavoidable, LARGEST_ERROR))
    if not np.isfinite(result.error):
        raise VerificationError(
            "the gradient is infinite or not a number at the inputs that were tried (random ones, with ones "
            "for any further input): state the valid range with input_range=, and keep the model from "
            "dividing by zero"
        )
    if not half and not (result.error <= LARGEST_ERROR and result.typical <= typical):
        raise VerificationError(
            f"the gradient is off by {result.typical:.1e} at the median and {result.error:.1e} at worst "
            f"(at most {typical:.1g} and {LARGEST_ERROR} are right) against {against}: a derivative rule or "
            "the model's runtime is wrong, please report the model"
        )
    if not half and not result.score <= LARGEST_SCORE_ERROR:
        raise VerificationError(
            f"the score is off by {result.score:.1e} (at most {LARGEST_SCORE_ERROR} is right): the "
            "objective's head or the model's runtime is wrong, please report the model"
        )
    return result


def score_error(
    out: dict[str, Any], objective: Objective, z: Float64, target: npt.NDArray[np.int64]
) -> float:
    """The largest error of the score, relative where the score is above one."""
    true = objective.value(objective.margin(z, target))
    return float(np.max(np.abs(out[contract.SCORE] - true) / np.maximum(1.0, np.abs(true))))
