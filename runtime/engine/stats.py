"""What an explainer has done so far."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stats:
    """Counts since the explainer was opened.

    slots: how many lanes run at a time. evaluations: how often the gradient graph ran. lanes: in how many
    lanes, all evaluations together. images: how many wait or run now. done, failed, cancelled: requests that
    have ended, those past their deadline among the failed.
    """

    slots: int
    evaluations: int
    lanes: int
    images: int
    done: int
    failed: int
    cancelled: int

    @property
    def lanes_per_evaluation(self) -> float:
        """How full evaluations were: at most `slots`; 0 before the first."""
        return self.lanes / self.evaluations if self.evaluations else 0.0
