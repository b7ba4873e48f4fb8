"""The reasons why a walk ends, and a short sentence about each."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """How a walk ended, in order of severity: an image with several lanes reports the largest.

    `str` gives the name, as in "BOUNDARY", `words` the name as tables and files hold it, as in "negative
    flux", and `meaning` a sentence for people. The numbers of lanes, up to NON_FINITE, are the same as in
    `lanes.h`.
    """

    RUNNING = 0
    BOUNDARY = 1
    NEGATIVE_FLUX = 2
    COMPLETE = 3
    MAX_STEPS = 4
    ZERO_GRADIENT = 5
    NON_FINITE = 6
    # Said of an image in place of its lanes' status. The softmax probability of a prediction that is surer
    # than 1 - 1e-45 has such derivatives.
    UNDERFLOW = 7

    @property
    def words(self) -> str:
        """The name in lower case, with spaces."""
        return self.name.lower().replace("_", " ")

    @property
    def meaning(self) -> str:
        """A short sentence for people."""
        return _MEANINGS[self]

    @classmethod
    def of(cls, words: str) -> Status:
        """The status that has these `words`; ValueError for others."""
        for status in cls:
            if status.words == words:
                return status
        raise ValueError(f"there is no status '{words}'")

    def __str__(self) -> str:
        return self.name

    def __format__(self, how: str) -> str:
        return format(self.name if not how or how.endswith("s") else int(self), how)


_MEANINGS = {
    Status.RUNNING: "not ended; no result has it",
    Status.BOUNDARY: "the predicted class changed: the decision boundary was crossed",
    Status.NEGATIVE_FLUX: "a point with negative flux was found",
    Status.COMPLETE: "a walk of fixed length reached its end",
    Status.MAX_STEPS: "the largest number of steps was taken",
    Status.ZERO_GRADIENT: "the objective does not change with the input here; the attribution so far is "
    "returned",
    Status.NON_FINITE: "the model gave NaN or infinity; the attribution is zero",
    Status.UNDERFLOW: "the attribution is too small for float32 and therefore zero, though the gradient is "
    "not",
}
