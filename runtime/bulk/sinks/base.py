"""The interface of sinks, and the record of an image's result besides its attribution."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.runtime.attribution import Attribution

FORMAT = 1


class Sink(Protocol):
    """Takes the results of `Explainer.attribute_many`, one image at a time, in the source's order.

    Any object with these methods is a sink; all are called from the caller's thread. If it also has a method
    `abandon()`, that is called instead of `close` when the run breaks off.
    """

    def done(self, name: str) -> bool:
        """Whether an earlier run wrote this image completely; it is then skipped."""

    def write(self, name: str, image: npt.NDArray[np.float32], result: Attribution) -> Path | None:
        """Store an image [*shape] and its attribution (n = 1); return the image's own file, or None."""

    def close(self) -> None:
        """The source has ended: finish what was written."""


@dataclass(frozen=True)
class Head:
    """What a run's results share: `run` says how they were computed, `shape` is one image's shape."""

    run: Mapping[str, str | None]
    shape: tuple[int, ...]

    def entry(self) -> dict[str, Any]:
        """The head as a JSON object."""
        return {"fluxpath": FORMAT, "run": dict(self.run), "shape": list(self.shape)}

    @staticmethod
    def of(entry: Any, path: Path) -> Head:
        """The head in a JSON object; InputError if it holds none, so that no foreign file is overwritten."""
        if not isinstance(entry, dict) or entry.get("fluxpath") != FORMAT:
            raise InputError(f"'{path}' is no intact result of fluxpath's: start over, or write elsewhere")
        return Head(entry["run"], tuple(entry["shape"]))

    def check(self, other: Head, path: Path) -> None:
        """Raise InputError if `other`, the head of `path`, differs: results of unlike runs must not mix."""
        if self.shape != other.shape:
            raise InputError(
                f"'{path}' holds attributions of shape {list(other.shape)}, and the model takes "
                f"{list(self.shape)}: start over, or write elsewhere"
            )
        for key in sorted({*self.run, *other.run}):
            if self.run.get(key) != other.run.get(key):
                raise InputError(
                    f"'{path}' was written with {key} {other.run.get(key)}, and this run has "
                    f"{self.run.get(key)}: start over, or write elsewhere"
                )


@dataclass(frozen=True)
class Row:
    """One image's result without the attribution; scores that are not finite are None: JSON has no NaN.

    crc: CRC-32 of the values, if a journal keeps them. files: the image's own files and their sizes in bytes.
    """

    name: str
    target: int
    label: int
    score: float | None
    steps: int
    status: int
    end_score: float | None = None
    crc: int | None = None
    files: Mapping[str, int] = field(default_factory=dict)

    @staticmethod
    def of(name: str, result: Attribution, **more: Any) -> Row:
        """The row of one image's attribution."""
        end = None if result.end_score is None else _finite(float(result.end_score[0]))
        score = _finite(float(result.score[0]))
        numbers = (int(a[0]) for a in (result.target, result.label, result.steps, result.status))
        target, label, steps, status = numbers
        return Row(name, target, label, score, steps, status, end, **more)

    def entry(self) -> dict[str, Any]:
        """The row as a JSON object, without `crc` and `files` where they do not apply."""
        return {k: v for k, v in asdict(self).items() if not (k in ("crc", "files") and not v and v != 0)}


# The numpy types of the columns that stacked rows become.
COLUMNS = {
    "target": np.int64,
    "label": np.int64,
    "score": np.float32,
    "steps": np.int32,
    "status": np.int32,
    "end_score": np.float32,
}


def as_columns(rows: list[Row]) -> dict[str, npt.NDArray[Any]]:
    """Rows as arrays [n]: `name` as text, and COLUMNS; a score that is None becomes NaN."""
    columns: dict[str, npt.NDArray[Any]] = {"name": np.array([r.name for r in rows], np.str_)}
    for key, kind in COLUMNS.items():
        values = [getattr(row, key) for row in rows]
        columns[key] = np.array([np.nan if v is None else v for v in values], kind)
    return columns


def from_columns(columns: Mapping[str, Any]) -> list[Row]:
    """The inverse of `as_columns`, from arrays or lists."""
    lists = {k: np.asarray(columns[k]).tolist() for k in ("name", *COLUMNS)}
    records = (dict(zip(lists, record, strict=True)) for record in zip(*lists.values(), strict=True))
    return [_row(record) for record in records]


def _row(record: dict[str, Any]) -> Row:
    finite: dict[str, Any] = {k: _finite(v) if isinstance(v, float) else v for k, v in record.items()}
    return Row(**finite)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
