"""A folder of parts, each a Parquet file of its own, and the manifest that lists those that count."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fluxpath.errors import InputError
from fluxpath.runtime.records.rowlog import MANIFEST, PARTS, RowLog, hold_log, read_lines
from fluxpath.runtime.records.rows import Head

PREFIX, SUFFIX = "part-", ".parquet"


@dataclass(frozen=True)
class Part:
    """A part that is complete: its file, with so many images and bytes. No file where it has no image.

    failures: a sentence for each image that failed, by its name; a later run tries these again.
    """

    name: str
    images: int
    bytes: int
    failures: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def read(entry: Any) -> Part:
        """The part in a JSON object; TypeError or ValueError if it holds none."""
        part = Part(**entry)
        whole = all(type(n) is int and n >= 0 for n in (part.images, part.bytes))
        plain = part.name.startswith(PREFIX) and part.name.endswith(SUFFIX) and "/" not in part.name
        if not (whole and plain and isinstance(part.failures, dict)):
            raise ValueError("no part")
        return part

    def entry(self) -> dict[str, Any]:
        """The part as a JSON object."""
        return asdict(self)


class Parts:
    """The manifest of a folder, held by one run at a time. listed: the parts by name, the last of each.

    Raises InputError for a folder that holds something else, another run's results, or without `resume`
    any results; and while another run writes to it.
    """

    def __init__(self, folder: Path, head: Head, resume: bool) -> None:
        path = folder / MANIFEST
        if folder.exists() and not folder.is_dir():
            raise InputError(f"'{folder}' is a file, and parts are written into a folder: name another")
        self._made = not folder.exists()
        if not self._made and not path.exists() and (names := sorted(os.listdir(folder))):
            raise InputError(
                f"'{folder}' holds something else ('{names[0]}'): name an empty folder, or "
                "one that does not exist"
            )
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._held = hold_log(path, PARTS, folder)
        try:
            log = read_lines(path, Part.read)
            head = replace(head, form=PARTS)
            if log is not None and log.rows:
                if not resume:
                    raise InputError(
                        f"'{folder}' holds the results of an earlier run: continue it with --resume, "
                        "or write elsewhere"
                    )
                head.check(log.head, path)
            self.listed = {part.name: part for part in log.rows} if log else {}
            keep = log.ends[-1] if log and log.rows else None
            self._log = RowLog(path, head, keep)
        except BaseException:
            self._held.release(remove=self._held.created)
            raise

    def add(self, part: Part) -> None:
        """List a part, whose file is complete."""
        self._held.check()
        self._log.append(part)
        self.listed[part.name] = part

    @property
    def files(self) -> list[Path]:
        """The files of the parts that are listed."""
        return [self.folder / part.name for part in self.listed.values() if part.images]

    def unlisted(self) -> list[Path]:
        """Files of parts that the manifest does not list, which a killed run may have left."""
        listed = set(self.files)
        return [file for file in sorted(self.folder.glob(f"{PREFIX}*{SUFFIX}")) if file not in listed]

    def close(self) -> None:
        """End; the folder is deleted if it was made here and nothing is in it."""
        self._log.close()
        empty = not self.listed
        self._held.release(remove=empty and self._held.created)
        if empty and self._made and not any(self.folder.iterdir()):
            self.folder.rmdir()
