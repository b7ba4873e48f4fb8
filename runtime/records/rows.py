"""The record of an image's result beside its attribution, and what the results of one run share."""

from __future__ import annotations

import errno
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import FluxpathError, InputError
from fluxpath.status import Status

FORMAT = 3


def foreign(path: Path, use: str = "") -> InputError:
    """The error for a file that is in the way, and that fluxpath did not write or can no longer read.

    use: what it would be, where its name is not the one that the user gave.
    """
    return InputError(
        f"'{path}' is no intact result of fluxpath's, or one of another version or kind{use}: move it away "
        "and start over, or write elsewhere"
    )


@contextmanager
def plain(path: Path) -> Iterator[None]:
    """While `path` is opened: a link, folder, FIFO or device in its place is an InputError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.EINVAL, errno.ENXIO):
            raise InputError(f"'{path}' is in the way: {error.strerror}: write elsewhere") from error
        raise


@contextmanager
def intact(path: Path) -> Iterator[None]:
    """While a result is read: whatever libraries raise on a damaged or foreign file becomes `foreign`."""
    try:
        with plain(path):
            yield
    except FluxpathError:
        raise
    except OSError as error:
        if error.errno is not None:  # the disk's or the system's, and not a library's
            raise
        raise foreign(path) from error
    except Exception as error:
        raise foreign(path) from error


@dataclass(frozen=True)
class Head:
    """What a run's results share: `run` says how they were computed, `shape` is one image's shape.

    form: the kind of output, such as "npz".
    """

    run: Mapping[str, str | None]
    shape: tuple[int, ...]
    form: str = ""

    def entry(self) -> dict[str, Any]:
        """The head as a JSON object; it begins with what tells fluxpath's own results."""
        return {"fluxpath": FORMAT, "form": self.form, "run": dict(self.run), "shape": list(self.shape)}

    @staticmethod
    def of(entry: Any, path: Path) -> Head:
        """The head in a JSON object; InputError if it holds none, so that no foreign file is overwritten."""
        if not isinstance(entry, dict) or entry.get("fluxpath") != FORMAT:
            raise foreign(path)
        run: Any = entry.get("run")
        shape: Any = entry.get("shape")
        form: Any = entry.get("form")
        named = isinstance(run, dict) and all(isinstance(v, str | None) for v in run.values())
        sized = isinstance(shape, list) and all(type(d) is int and d >= 0 for d in shape)
        if not (named and sized and isinstance(form, str)):
            raise foreign(path)
        return Head(run, tuple(shape), form)

    def check(self, other: Head, path: Path, again: str = "start over, or write elsewhere") -> None:
        """Raise InputError if `other`, the head of `path`, differs: results of unlike runs must not mix.

        again: what the user can do.
        """
        if self.form != other.form:
            raise foreign(path)
        if self.shape != other.shape:
            raise InputError(
                f"'{path}' holds attributions of shape {list(other.shape)}, and the model takes "
                f"{list(self.shape)}: {again}"
            )
        for key in sorted({*self.run, *other.run}):
            if self.run.get(key) != other.run.get(key):
                theirs, ours = other.run.get(key), self.run.get(key)
                written = f"without a {key}" if theirs is None else f"with {key} {theirs}"
                now = f"no {key}" if ours is None else ours
                raise InputError(f"'{path}' was written {written}, and this run has {now}: {again}")


@dataclass(frozen=True)
class Row:
    """One image's result without the attribution; numbers that are not finite are None: JSON has no NaN.

    class_name: the explained class's name, or its number as text. probability: of that class, where the
    objective gives it. crc: CRC-32 of the values, if a journal keeps them. files: the image's own files and
    their sizes in bytes.
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
    class_name: str = ""
    probability: float | None = None
    error_rate: float | None = None

    @staticmethod
    def read(entry: Any) -> Row:
        """The row in a JSON object; TypeError or ValueError if it holds none, or names a file elsewhere."""
        row = Row(**{**entry, "status": int(Status.of(entry["status"]))})
        reals = (row.score, row.end_score, row.probability, row.error_rate)
        scores = all(v is None or type(v) in (int, float) for v in reals)
        whole = [(key, kind) for key, kind in COLUMNS.items() if np.dtype(kind).kind == "i"]
        numbers = all(_fits(getattr(row, key), kind) for key, kind in whole)
        checked = row.crc is None or _fits(row.crc, np.uint32)
        files = isinstance(row.files, dict) and all(
            _is_inside(file) and _fits(size, np.int64) for file, size in row.files.items()
        )
        texts = isinstance(row.name, str) and isinstance(row.class_name, str)
        if not (texts and scores and numbers and checked and files):
            raise ValueError("no row")
        return replace(row, name=named(row.name))

    def entry(self) -> dict[str, Any]:
        """The row as a JSON object, without `crc` and `files` where they do not apply."""
        first = {key: getattr(self, key) for key in ("name", *COLUMNS)}
        more = {k: v for k, v in asdict(self).items() if k in ("crc", "files") and (v or v == 0)}
        texts = {"name": stored(self.name), "status": Status(self.status).words}
        return {**first, **more, **texts}


# What is no character, and text that looks like an escape of it; each with the backslashes before it.
_UNFIT = re.compile(r"(\\*)([\ud800-\udfff])|(\\+)(?=ud[89a-f][0-9a-f]{2})")
_ESCAPE = re.compile(r"(\\+)(ud[89a-f][0-9a-f]{2})")


def stored(name: str) -> str:
    r"""A name as every format holds it: what UTF-8 cannot encode is escaped, as in \udcff for the byte ff.

    Python reads a byte of a file's name that is not UTF-8 as such a code unit. Backslashes just before an
    escape, or before text that looks like one, are doubled, so that the name can be told from the text.
    """

    def escaped(found: re.Match[str]) -> str:
        if found[2] is None:
            return found[3] * 2
        return f"{found[1] * 2}\\u{ord(found[2]):04x}"

    return _UNFIT.sub(escaped, name)


def named(text: str) -> str:
    """The inverse of `stored`."""

    def read(found: re.Match[str]) -> str:
        pairs, escapes = divmod(len(found[1]), 2)
        return "\\" * pairs + (chr(int(found[2][1:], 16)) if escapes else found[2])

    return _ESCAPE.sub(read, text)


# The columns that rows become beside the name, with their numpy types.
COLUMNS = {
    "class_name": np.str_,
    "target": np.int64,
    "label": np.int64,
    "probability": np.float32,
    "score": np.float32,
    "end_score": np.float32,
    "error_rate": np.float64,
    "steps": np.int32,
    "status": np.int32,
}


def as_columns(rows: list[Row]) -> dict[str, npt.NDArray[Any]]:
    """Rows as arrays [n]: `name` as in `stored`, and COLUMNS; a number that is None becomes NaN."""
    columns: dict[str, npt.NDArray[Any]] = {"name": np.array([stored(r.name) for r in rows], np.str_)}
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
    finite: dict[str, Any] = {k: finite_or_none(v) if isinstance(v, float) else v for k, v in record.items()}
    return Row.read({**finite, "status": Status(finite["status"]).words})


def finite_or_none(value: float) -> float | None:
    """The number, or None for NaN and infinity."""
    return value if math.isfinite(value) else None


def _fits(value: Any, kind: Any) -> bool:
    limits = np.iinfo(kind)
    return type(value) is int and limits.min <= value <= limits.max


def _is_inside(file: str) -> bool:
    """Whether a path stays in the folder that it is relative to, on any system."""
    windows, posix = PureWindowsPath(file), PurePosixPath(file)
    leaves = windows.anchor or posix.is_absolute() or ".." in windows.parts or "\0" in file
    return bool(posix.parts) and not leaves and posix.suffix in (".png", ".npy")
