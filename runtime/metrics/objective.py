"""The explained function at probes: what an attribution says how much each element changes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.metrics.base import Case, Found


def explained(case: Case, found: Found) -> npt.NDArray[np.float64]:
    """The objective that the file was exported with, at the case's target: float64 [probes].

    The probability where the attribution was made without its subject.
    """
    subject = case.attribution.subject
    objective = "softmax" if subject is None else subject.manifest.objective
    logits = found.logits.astype(np.float64)
    at: npt.NDArray[np.float64] = logits[:, case.target]
    if objective == "logit":
        return at
    if objective == "margin":
        others: npt.NDArray[np.float64] = np.delete(logits, case.target, axis=1).max(axis=1)
        return at - others
    if objective == "log_softmax":
        highest: npt.NDArray[np.float64] = logits.max(axis=1)
        spread: npt.NDArray[np.float64] = np.exp(logits - highest[:, None]).sum(axis=1)
        return at - highest - np.log(spread)
    return found.probabilities[:, case.target]
