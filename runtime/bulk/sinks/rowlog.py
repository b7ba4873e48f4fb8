"""An append-only log of rows, readable after a killed run: one JSON object per line, the head first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fluxpath.errors import FluxpathError
from fluxpath.runtime.bulk.sinks.base import Head, Row


@dataclass(frozen=True)
class Log:
    """The complete lines of a row log. begin, ends: byte offsets of the end of the head and of each row."""

    head: Head
    rows: list[Row]
    begin: int
    ends: list[int]


def read_log(path: Path) -> Log | None:
    """A log's lines up to the first broken one; None without a whole head; InputError for a foreign file."""
    head: Head | None = None
    rows: list[Row] = []
    ends: list[int] = []
    begin = end = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            if head is None:
                head, begin = Head.of(_parsed(line), path), end
                continue
            try:
                rows.append(Row(**json.loads(line)))
            except (ValueError, TypeError):
                break
            ends.append(end)
    return None if head is None else Log(head, rows, begin, ends)


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None


def line_of(entry: object) -> bytes:
    """`entry` as one line of JSON, in UTF-8."""
    return json.dumps(entry, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


class RowLog:
    """A log open for appending; each row reaches the operating system before `append` returns."""

    def __init__(self, path: Path, head: Head, keep: int | None = None) -> None:
        """keep: how many bytes of the existing log to keep; None starts a new log."""
        self._file: BinaryIO
        if keep is None:
            self._file = path.open("wb", buffering=0)
            self._file.write(line_of(head.entry()))
        else:
            self._file = path.open("r+b", buffering=0)
            self._file.truncate(keep)
            self._file.seek(keep)

    def append(self, row: Row) -> None:
        """Append a row; FluxpathError if the disk is full."""
        line = line_of(row.entry())
        if self._file.write(line) != len(line):
            raise FluxpathError(f"'{self._file.name}': no space is left for the row of '{row.name}'")

    def close(self) -> None:
        """Close the file; can be called twice."""
        self._file.close()
