"""The explained function."""

from __future__ import annotations

import numpy as np
import pytest
from metric_cases import Small, cases

from fluxpath.runtime.metrics import Case, Found
from fluxpath.runtime.metrics.objective import explained
from fluxpath.runtime.prediction import probabilities

LOGITS = np.array([[1.0, -2.0, 0.5, 3.0], [0.0, 4.0, -1.0, 0.25]], np.float32)


@pytest.mark.parametrize("objective", ["softmax", "log_softmax", "sigmoid", "logit", "margin"])
def test_it_is_the_files_objective(objective):
    model = Small(objective=objective)
    (case,) = cases(model, 1)
    case.attribution.target[0] = 2
    found = Found(LOGITS, probabilities(LOGITS, model.manifest), np.empty((0,), np.float32), ())
    wide = LOGITS.astype(np.float64)
    softmax = np.exp(wide) / np.exp(wide).sum(axis=1, keepdims=True)
    expected = {
        "softmax": softmax[:, 2],
        "log_softmax": np.log(softmax[:, 2]),
        "sigmoid": 1 / (1 + np.exp(-wide[:, 2])),
        "logit": wide[:, 2],
        "margin": wide[:, 2] - np.array([3.0, 4.0]),
    }[objective]
    assert np.allclose(explained(case, found), expected, atol=1e-12)


def test_without_a_subject_it_is_the_probability():
    (case,) = cases(Small(objective="logit"), 1)
    made = case.attribution
    bare = type(made)(
        made.values, made.target, made.label, made.steps, made.status, made.score, made.end_score
    )
    found = Found(LOGITS, LOGITS.astype(np.float64) / 10, np.empty((0,), np.float32), ())
    assert np.array_equal(explained(Case(case.image, bare), found), found.probabilities[:, case.target])
