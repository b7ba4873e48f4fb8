"""One .jsonl file: a JSON object per image and nothing else, as pandas and jq read it; no attributions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.files import replacing, unlinked
from fluxpath.runtime.bulk.sinks.journal import Journal
from fluxpath.runtime.records.rowlog import line_of, parsed
from fluxpath.runtime.records.rows import FORMAT, Head, Row, foreign, intact


class Lines:
    """Each line has the keys of `Row`, the images' `shape`, and `run`, how the result was computed.

    Whatever is said of the whole run stands in every line, so that files can be joined and cut; `check` is
    the CRC-32 of what comes before it in the line.
    """

    bare = True

    def write(self, journal: Journal, rows: list[Row], path: Path) -> None:
        """Write the file, one line after the other."""
        head = {**journal.head.entry()}
        with replacing(path, journal.temporary) as temporary, temporary.open("xb") as file:
            for row in rows:
                entry = {k: v for k, v in row.entry().items() if k != "crc"}
                file.write(line_of({**entry, "shape": head["shape"], "run": head["run"], "fluxpath": FORMAT}))

    def files(self, path: Path) -> list[Path]:
        """The file itself."""
        return [path]

    def head(self, path: Path) -> Head:
        """The head in the first line; InputError if it has none. An empty file has an empty head."""
        with intact(path), open(path, "rb", opener=unlinked) as file:
            line = file.readline()
        return _split(line, path)[0] if line else Head({}, (), path.suffix)

    def read(self, path: Path) -> tuple[Head, list[Row]]:
        """The head and the rows; InputError if the file is damaged, foreign or joined from several runs."""
        with intact(path), open(path, "rb", opener=unlinked) as file:
            found = [_split(line, path) for line in file]
        if any(head != found[0][0] for head, _ in found):
            raise foreign(path)
        return (found[0][0] if found else Head({}, (), path.suffix)), [row for _, row in found]

    def values(self, path: Path) -> Iterator[npt.NDArray[np.float32]]:
        """Yield nothing for each image, since no values are kept."""
        for _ in self.read(path)[1]:
            yield np.empty(0, np.float32)


def _split(line: bytes, path: Path) -> tuple[Head, Row]:
    """The head and the row in a line; InputError if fluxpath did not write it."""
    entry: Any = parsed(line)
    try:
        about = {key: entry.pop(key) for key in ("shape", "run", "fluxpath")}
        return Head.of({**about, "form": path.suffix}, path), Row.read(entry)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise foreign(path) from error
