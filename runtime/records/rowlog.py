"""An append-only log of rows, readable after a killed run: one JSON object per line, the head first.

Every line ends with its own CRC-32 under "check". The head also has the token that names the run's temporary
file, by which a later run finds and deletes what a killed one left.
"""

from __future__ import annotations

import json
import re
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic, Protocol, TypeVar

from fluxpath.errors import FluxpathError
from fluxpath.files import naming, temporary_name, unlinked
from fluxpath.runtime.records.held import Held
from fluxpath.runtime.records.rows import FORMAT, Head, Row, foreign, plain

# The list of results in a folder of overlays, and its form; a folder that holds one is not a source.
RESULTS = "results.jsonl"
FOLDER = "folder"
# The list of a folder's parts, and its form. Readers of Parquet pass over what begins with an underscore.
MANIFEST = "_manifest.jsonl"
PARTS = "parts"

_CHECK = b', "check": '


class Entry(Protocol):
    """What is one line of a log: `name` says of what, where an error must."""

    @property
    def name(self) -> str:
        """Of an image, as a rule."""

    def entry(self) -> dict[str, Any]:
        """The line as a JSON object."""


_L = TypeVar("_L", bound=Entry)


@dataclass(frozen=True)
class Log(Generic[_L]):
    """The complete lines of a log. begin, ends: byte offsets of the end of the head and of each row."""

    head: Head
    rows: list[_L]
    begin: int
    ends: list[int]


def is_log(path: Path, form: str, version: int = FORMAT) -> bool:
    """Whether the file begins as a log of this form; an empty one does, which a killed run may have left."""
    with open(path, "rb", opener=unlinked) as file:
        mark = f'{{"fluxpath": {version}, "form": "{form}", '.encode()
        return mark.startswith(file.read(len(mark)))


def is_folder(results: Path) -> bool:
    """Whether such a list says that fluxpath wrote the folder, in this version or an earlier one."""
    form = PARTS if results.name == MANIFEST else FOLDER
    try:
        return any(is_log(results, form, version) for version in range(1, FORMAT + 1))
    except OSError:
        return False


def hold_log(path: Path, form: str, output: Path) -> Held:
    """Hold the log at `path`, made if there is none; InputError as for `Held`, and for what is no log."""
    with plain(path):
        held = Held(path, output)
    try:
        if not is_log(path, form):
            raise foreign(path)
    except BaseException:
        held.release(remove=held.created)
        raise
    return held


def read_log(path: Path) -> Log[Row] | None:
    """A log of rows, as `read_lines` reads it."""
    return read_lines(path, Row.read)


def read_lines(path: Path, read: Callable[[Any], _L]) -> Log[_L] | None:
    """A log's lines up to the first broken one; None without a whole head; InputError for a foreign file.

    read: makes a line of its JSON object; TypeError or ValueError if it is none.
    """
    head: Head | None = None
    rows: list[_L] = []
    ends: list[int] = []
    begin = 0
    for entry, end in entries(path):
        if head is None:
            head, begin = Head.of(entry, path), end
            continue
        try:
            rows.append(read(entry))
        except (ValueError, TypeError):
            break
        ends.append(end)
    return None if head is None else Log(head, rows, begin, ends)


def entries(path: Path) -> Iterator[tuple[Any, int]]:
    """The JSON objects of a log's whole lines, None for a broken one, each with its end in bytes."""
    end = 0
    with open(path, "rb", opener=unlinked) as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            yield parsed(line), end


def _token_in(path: Path) -> str | None:
    """The token in the head of a log; None if there is no whole head."""
    if not path.exists():
        return None
    with open(path, "rb", opener=unlinked) as file:
        token = (parsed(file.readline()) or {}).get("token")
    return token if isinstance(token, str) and re.fullmatch("[0-9a-f]{32}", token) else None


def parsed(line: bytes) -> Any:
    """The JSON object in a line without its check; None if it is none, or the check is wrong."""
    text, _, check = line.rpartition(_CHECK)
    try:
        entry = json.loads(text + b"}")
        right = int(check.rstrip(b"}\n")) == zlib.crc32(text)
    except (ValueError, RecursionError):
        return None
    return entry if right and isinstance(entry, dict) else None


def line_of(entry: dict[str, Any]) -> bytes:
    """`entry` as one line of JSON, in UTF-8, with its check."""
    text = json.dumps(entry, ensure_ascii=False).encode("utf-8", "backslashreplace")[:-1]  # as JSON escapes
    return text + _CHECK + str(zlib.crc32(text)).encode() + b"}\n"


class RowLog:
    """A log open for appending; each row reaches the operating system before `append` returns.

    temporary: the temporary file of this run, beside the log; one that a killed run left is deleted here.
    """

    def __init__(self, path: Path, head: Head, keep: int | None = None) -> None:
        """keep: how many bytes of the existing log stay; None starts a new one."""
        token = _token_in(path) or uuid.uuid4().hex
        self.temporary = path.with_name(temporary_name(token))
        self.temporary.unlink(missing_ok=True)
        self._file: BinaryIO
        if keep is None:
            self._file = open(path, "wb", buffering=0, opener=unlinked)  # noqa: SIM115
            self._append(line_of({**head.entry(), "token": token}), "head")
        else:
            self._file = open(path, "r+b", buffering=0, opener=unlinked)  # noqa: SIM115
            self._file.truncate(keep)
            self._file.seek(keep)

    def append(self, *rows: Entry) -> None:
        """Append rows in one write; FluxpathError if the disk is full."""
        self._append(b"".join(line_of(row.entry()) for row in rows), f"row of '{rows[-1].name}'")

    def _append(self, data: bytes, what: str) -> None:
        with naming(self._file.name):
            written = self._file.write(data)
        if written != len(data):
            raise FluxpathError(f"'{self._file.name}': no space is left for the {what}")

    def close(self) -> None:
        """Close the file; can be called twice."""
        self._file.close()
