"""The table that `fluxpath explain` prints."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from fluxpath.cli._common import table
from fluxpath.status import Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fluxpath.runtime import Attribution, Sink

# Rows that are kept; whoever prints a table prints one of fewer.
MOST = 41

STEPS = "steps: how many were taken before the walk ended, summed over the walks of an image"


class Tabled:
    """A sink that keeps the table's rows, for as many images as the table holds.

    The real sink opens with the first image, so that a wrong setting cannot destroy an earlier run's results.
    """

    def __init__(self, opened: Callable[[], Sink], target: str) -> None:
        self._opened, self._target = opened, target
        self.rows: list[list[str]] = []
        self.statuses: set[Status] = set()

    @cached_property
    def _sink(self) -> Sink:
        return self._opened()

    def done(self, name: str) -> bool:
        """See `Sink`."""
        return self._sink.done(name)

    def close(self) -> None:
        """See `Sink`."""
        self._sink.close()

    def abandon(self) -> None:
        """See `Sink`."""
        if "_sink" in vars(self):
            getattr(self._sink, "abandon", self._sink.close)()

    def write(self, name: str, image: npt.NDArray[np.float32], result: Attribution) -> None:
        """See `Sink`."""
        from fluxpath.runtime.attribution.subject import class_name, measure

        written = self._sink.write(name, image, result) or self._target
        if len(self.rows) < MOST:
            manifest = None if result.subject is None else result.subject.manifest
            status = Status(int(result.status[0]))
            self.statuses.add(status)
            label = class_name(manifest, int(result.target[0]))
            score = measure(manifest, float(result.score[0]))
            self.rows.append([name, label, score, str(result.steps[0]), status.words, str(written)])


def results_table(rows: Iterable[list[str]], statuses: Iterable[Status], objective: str) -> str:
    """The table, and on a terminal what its columns mean: a script that reads it gets the rows alone."""
    text = table([["image", "class", "score", "steps", "ended by", "written"], *rows])
    return f"{text}\n\n{legend(statuses, objective)}" if sys.stdout.isatty() else text


def legend(statuses: Iterable[Status], objective: str) -> str:
    """A line about each column that does not speak for itself."""
    chance = objective in ("softmax", "sigmoid", "log_softmax")
    score = "the probability of the class" if chance else f"the objective '{objective}' of the class"
    ends = [f"ended by {status.words}: {status.meaning}" for status in sorted(statuses)]
    return "\n".join((f"score: {score}, at the image", STEPS, *ends))
