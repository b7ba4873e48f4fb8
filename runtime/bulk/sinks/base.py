"""What a sink is, and what is stored of an image besides its attribution."""

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

    Pass an object of your own that has these methods; all are called from the caller's thread. If it also has
    a method `abandon()`, that is called instead of `close` when the run breaks off.
    """

    def done(self, name: str) -> bool:
        """Whether an earlier run wrote this image whole; it is then skipped."""

    def write(self, name: str, image: npt.NDArray[np.float32], result: Attribution) -> Path | None:
        """Take an image [*shape] and its attribution (n = 1); returns the image's own file, if it has one."""

    def close(self) -> None:
        """The source has ended: finish what was written."""


@dataclass(frozen=True)
class Head:
    """What a run's results have in common: `run` says how they came about, shape is that of one image."""

    run: Mapping[str, str | None]
    shape: tuple[int, ...]

    def entry(self) -> dict[str, Any]:
        """What goes into the file, as a JSON object."""
        return {"fluxpath": FORMAT, "run": dict(self.run), "shape": list(self.shape)}

    @staticmethod
    def of(entry: Any, path: Path) -> Head:
        """From its JSON object; InputError if it is not one, so that no foreign file is taken for ours."""
        if not isinstance(entry, dict) or entry.get("fluxpath") != FORMAT:
            raise InputError(f"'{path}' is no intact result of fluxpath's: start over, or write elsewhere")
        return Head(entry["run"], tuple(entry["shape"]))

    def check(self, other: Head, path: Path) -> None:
        """InputError where `path` holds the results of a run unlike this one: the two must not mix."""
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
    """One image's result except for the attribution; scores that are not finite are None, as JSON has no NaN.

    crc: CRC-32 of the values where a journal keeps them. files: the image's own files and their sizes.
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
        """From the attribution of one image."""
        end = None if result.end_score is None else _finite(float(result.end_score[0]))
        score = _finite(float(result.score[0]))
        numbers = (int(a[0]) for a in (result.target, result.label, result.steps, result.status))
        target, label, steps, status = numbers
        return Row(name, target, label, score, steps, status, end, **more)

    def entry(self) -> dict[str, Any]:
        """As a JSON object, without what does not apply."""
        return {k: v for k, v in asdict(self).items() if not (k in ("crc", "files") and not v and v != 0)}


# The columns of a stack of rows, as numpy types.
COLUMNS = {
    "target": np.int64,
    "label": np.int64,
    "score": np.float32,
    "steps": np.int32,
    "status": np.int32,
    "end_score": np.float32,
}


def as_columns(rows: list[Row]) -> dict[str, npt.NDArray[Any]]:
    """Rows as arrays [n]: `name` as text and COLUMNS; NaN for scores that are None."""
    columns: dict[str, npt.NDArray[Any]] = {"name": np.array([r.name for r in rows], np.str_)}
    for key, kind in COLUMNS.items():
        values = [getattr(row, key) for row in rows]
        columns[key] = np.array([np.nan if v is None else v for v in values], kind)
    return columns


def from_columns(columns: Mapping[str, Any]) -> list[Row]:
    """The inverse of `as_columns`, of arrays or lists."""
    lists = {k: np.asarray(columns[k]).tolist() for k in ("name", *COLUMNS)}
    records = (dict(zip(lists, record, strict=True)) for record in zip(*lists.values(), strict=True))
    return [_row(record) for record in records]


def _row(record: dict[str, Any]) -> Row:
    finite: dict[str, Any] = {k: _finite(v) if isinstance(v, float) else v for k, v in record.items()}
    return Row(**finite)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
