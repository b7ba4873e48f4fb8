"""What a replica and whoever holds it tell each other, over a pipe of which both trust the other end."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import ClosedError, InputError, first_line
from fluxpath.manifest import Manifest
from fluxpath.runtime.attribution import Attribution, Subject
from fluxpath.runtime.engine.stats import Stats
from fluxpath.runtime.methods import Method


class ReplicaError(ClosedError):
    """The process that computed a request has ended."""


@dataclass(frozen=True)
class Start:
    """The file to open, keywords of `Explainer`, and where modules of one's own methods are found."""

    path: str
    options: dict[str, Any]
    search: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ready:
    """The file is open. digest: `Explainer.sha256`, by which another file in its place is told."""

    manifest: Manifest
    shape: tuple[int, ...]
    slots: int
    digest: str


@dataclass(frozen=True)
class Call:
    """Do something, and answer by this number. what: "submit", "predict" or "warmup", with its keywords.

    given: the keywords, pickled by `packed`: what one process has and the other cannot import then fails
    this call alone.
    """

    number: int
    what: str
    given: bytes


def packed(given: dict[str, Any]) -> bytes:
    """Keywords on their way to a replica; InputError for what cannot be sent."""
    try:
        return pickle.dumps(given, pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # whatever an object's own pickling raises
        raise InputError(f"this cannot be sent to another process: {first_line(error)}") from error


def unpacked(given: bytes) -> dict[str, Any]:
    """The keywords again; InputError where they need a class that this process does not find."""
    try:
        found: dict[str, Any] = pickle.loads(given)
    except Exception as error:
        raise InputError(
            f"a replica cannot read what was sent ({first_line(error)}): a method of your own must be in a "
            "module that it can import, and not in the script itself"
        ) from error
    return found


@dataclass(frozen=True)
class Cancel:
    """The value of this call is not wanted any more; answered all the same."""

    number: int


@dataclass(frozen=True)
class Explained:
    """An `Attribution` without what was explained, which the asker has. method: as it is afterwards."""

    arrays: dict[str, npt.NDArray[Any] | None]
    method: Method | None

    @classmethod
    def of(cls, result: Attribution, method: Method | None) -> Explained:
        """Without its subject."""
        return cls({k: v for k, v in vars(result).items() if k != "subject"}, method)

    def attribution(self, images: npt.NDArray[np.float32], method: Method, manifest: Manifest) -> Attribution:
        """With its subject again."""
        return Attribution(**self.arrays, subject=Subject(images, method, manifest))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Answer:
    """The answer to a call: what came of it, or the error; a call that is cancelled can have two."""

    number: int
    value: Any
    error: Exception | None
    stats: Stats


@dataclass(frozen=True)
class Report:
    """How far calls have come: seconds since the first lane began (None: before), lanes ended, steps."""

    progress: dict[int, tuple[float | None, int, int, int]]
    stats: Stats
