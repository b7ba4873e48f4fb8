"""What a replica and whoever holds it tell each other, over a pipe of which both trust the other end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import ClosedError
from fluxpath.manifest import Manifest
from fluxpath.runtime.attribution import Attribution, Subject
from fluxpath.runtime.engine.stats import Stats
from fluxpath.runtime.methods import Method


class ReplicaError(ClosedError):
    """The process that computed a request has ended."""


@dataclass(frozen=True)
class Start:
    """The file to open, and keywords of `Explainer`."""

    path: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Ready:
    """The file is open."""

    manifest: Manifest
    shape: tuple[int, ...]
    slots: int


@dataclass(frozen=True)
class Call:
    """Do something, and answer by this number. what: "submit", "predict" or "warmup", with its keywords."""

    number: int
    what: str
    given: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cancel:
    """The answer to this call is not wanted any more."""

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
    """The answer to a call: what came of it, or the error."""

    number: int
    value: Any
    error: Exception | None
    stats: Stats


@dataclass(frozen=True)
class Report:
    """How far calls have come: seconds since the first lane began (None: before), lanes ended, steps."""

    progress: dict[int, tuple[float | None, int, int, int]]
    stats: Stats
