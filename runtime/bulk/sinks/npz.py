"""One .npz file: the stacked values and one array per column."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fluxpath.files import replacing, unlinked
from fluxpath.runtime.bulk.sinks.journal import Journal, header
from fluxpath.runtime.records.rows import Head, Row, as_columns, foreign, from_columns, intact


class Npz:
    """`values` float32 [n, *shape]; `name` and `class_name` text; `target`, `label`, `score`, `steps`,
    `status`, `end_score`, `error_rate` [n] as in `Attribution`, and `probability` (NaN where there is none);
    `run`, how they were computed, as JSON.
    """

    bare = False

    def write(self, journal: Journal, rows: list[Row], path: Path) -> None:
        """Write the file; the values are copied, not loaded, because they can be larger than memory."""
        columns = {**as_columns(rows), "run": np.array(json.dumps(journal.head.entry()))}
        with (
            replacing(path, journal.temporary) as temporary,
            zipfile.ZipFile(temporary, "x", zipfile.ZIP_STORED) as archive,
        ):
            with (
                journal.values.open("rb") as source,
                archive.open("values.npy", "w", force_zip64=True) as target,
            ):
                shutil.copyfileobj(source, target, 1 << 20)
            for key, array in columns.items():
                with archive.open(f"{key}.npy", "w", force_zip64=True) as target:
                    np.lib.format.write_array(target, array, allow_pickle=False)

    def files(self, path: Path) -> list[Path]:
        """The file itself."""
        return [path]

    def head(self, path: Path) -> Head:
        """The head in the file; InputError if it has none."""
        with intact(path), open(path, "rb", opener=unlinked) as opened, np.load(opened) as file:
            return Head.of(json.loads(str(file["run"])), path)

    def read(self, path: Path) -> tuple[Head, list[Row]]:
        """The head and the rows, without the values; InputError if the file is damaged or foreign."""
        with intact(path), open(path, "rb", opener=unlinked) as opened, np.load(opened) as file:
            return Head.of(json.loads(str(file["run"])), path), from_columns(file)

    def values(self, path: Path) -> Iterator[npt.NDArray[np.float32]]:
        """Yield each image's values [*shape]; the archive verifies their checksum at the end."""
        head, rows = self.read(path)
        size = 4 * int(np.prod(head.shape, dtype=np.int64))
        start = header(head.shape, len(rows))
        with (
            intact(path),
            open(path, "rb", opener=unlinked) as opened,
            zipfile.ZipFile(opened) as archive,
            archive.open("values.npy") as source,
        ):
            if source.read(len(start)) != start:
                raise foreign(path)
            for _ in rows:
                yield np.frombuffer(source.read(size), "<f4").reshape(head.shape)
            if source.read(1):
                raise foreign(path)
