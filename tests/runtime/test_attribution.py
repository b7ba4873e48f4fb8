"""How far an attribution is from complete."""

from __future__ import annotations

import numpy as np
import pytest

from fluxpath.runtime import Attribution


def attribution(values: list[list[float]], score: list[float], end: list[float] | None) -> Attribution:
    n = len(values)
    return Attribution(
        values=np.array(values, np.float32),
        target=np.zeros(n, np.int64),
        label=np.zeros(n, np.int64),
        steps=np.ones(n, np.int32),
        status=np.ones(n, np.int32),
        score=np.array(score, np.float32),
        end_score=None if end is None else np.array(end, np.float32),
    )


def test_the_error_rate_is_the_gap_by_the_change_of_the_score() -> None:
    result = attribution(
        [[0.25, 0.25], [0.5, 0.5], [0, 0], [1, 0]], [0.75, 0.75, 0.5, 0.5], [0.25, 0.25, 0.5, 0.5]
    )
    assert result.error_rate.tolist() == [0.0, 1.0, 0.0, np.inf]
    assert len(result) == 4


def test_without_an_end_point_there_is_no_error_rate() -> None:
    with pytest.raises(ValueError, match="several end points"):
        _ = attribution([[0, 0]], [0.5], None).error_rate
