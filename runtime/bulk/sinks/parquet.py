"""One Parquet file with one row per image. Needs pyarrow, fluxpath's extra `parquet`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import InputError
from fluxpath.files import replacing, unlinked
from fluxpath.runtime.bulk.sinks.journal import Journal, groups
from fluxpath.runtime.records.rows import COLUMNS, Head, Row, as_columns, foreign, from_columns, intact
from fluxpath.status import Status

# The size of a row group, which is held in memory while it is written.
GROUP_BYTES = 1 << 24


class Parquet:
    """Columns name, those of COLUMNS (`status` in words, numbers that are missing null), the image's `shape`
    as list<int32>, and `values` as list<float32>, flattened.

    The file's metadata holds the images' shape and the run, as JSON under "fluxpath"; pages have checksums.
    Raises InputError if pyarrow is missing.
    """

    bare = False

    def __init__(self) -> None:
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise InputError('Parquet files need pyarrow: pip install "fluxpath[parquet]"') from error
        self._arrow: Any = pyarrow
        self._parquet: Any = pyarrow.parquet

    def write(self, journal: Journal, rows: list[Row], path: Path) -> None:
        """Write the file, one row group at a time."""
        arrow = self._arrow
        schema = self._schema().with_metadata({"fluxpath": json.dumps(journal.head.entry())})
        size = int(np.prod(journal.head.shape, dtype=np.int64))
        step = max(1, GROUP_BYTES // (4 * size))
        with (
            replacing(path, journal.temporary) as temporary,
            temporary.open("xb") as file,
            self._parquet.ParquetWriter(file, schema, write_page_checksum=True) as writer,
        ):
            for i, values in enumerate(groups(journal.values, journal.head.shape, len(rows), step)):
                group = rows[i * step : (i + 1) * step]
                offsets = arrow.array(np.arange(len(group) + 1, dtype=np.int32) * size)
                lists = arrow.ListArray.from_arrays(offsets, arrow.array(values.reshape(-1)))
                shapes = arrow.array([list(journal.head.shape)] * len(group), arrow.list_(arrow.int32()))
                writer.write_table(
                    arrow.Table.from_arrays([*self._columns(group), shapes, lists], schema=schema)
                )

    def _schema(self) -> Any:
        arrow = self._arrow
        fields = [("name", arrow.string())]
        for key, kind in COLUMNS.items():
            text = kind is np.str_ or key == "status"
            fields.append((key, arrow.string() if text else arrow.from_numpy_dtype(kind)))
        shape, values = arrow.list_(arrow.int32()), arrow.list_(arrow.float32())
        return arrow.schema([*fields, ("shape", shape), ("values", values)])

    def _columns(self, rows: list[Row]) -> Iterator[Any]:
        """The columns of the rows, as Arrow arrays; numbers that are NaN become null."""
        for key, column in as_columns(rows).items():
            if key == "status":
                yield self._arrow.array([Status(number).words for number in column])
            elif column.dtype.kind == "f":
                yield self._arrow.array(column, mask=np.isnan(column))
            else:
                yield self._arrow.array(column, self._arrow.string() if column.dtype.kind == "U" else None)

    def files(self, path: Path) -> list[Path]:
        """The file itself."""
        return [path]

    def head(self, path: Path) -> Head:
        """The head in the file's metadata; InputError if it has none."""
        with self._opened(path) as file:
            return self._head(file, path)

    def read(self, path: Path) -> tuple[Head, list[Row]]:
        """The head and the rows, without the values; InputError if the file is damaged or foreign."""
        with self._opened(path) as file:
            head = self._head(file, path)
            table = file.read(["name", *COLUMNS])
            columns = {key: table[key].to_pylist() for key in table.column_names}
            for key in [key for key, kind in COLUMNS.items() if np.dtype(kind).kind == "f"]:
                columns[key] = [np.nan if v is None else v for v in columns[key]]
            columns["status"] = [Status.of(words) for words in columns["status"]]
            return head, from_columns(columns)

    def values(self, path: Path) -> Iterator[npt.NDArray[np.float32]]:
        """Yield each image's values [*shape], reading one row group at a time."""
        with self._opened(path) as file:
            head = self._head(file, path)
            for group in range(file.num_row_groups):
                column = file.read_row_group(group, ["values"])["values"].combine_chunks()
                values = column.flatten().to_numpy().reshape(-1, *head.shape)
                if len(values) != len(column):
                    raise foreign(path)
                yield from values

    @contextmanager
    def _opened(self, path: Path) -> Iterator[Any]:
        with (
            intact(path),
            open(path, "rb", opener=unlinked) as opened,
            self._parquet.ParquetFile(opened, page_checksum_verification=True) as file,
        ):
            yield file

    def _head(self, file: Any, path: Path) -> Head:
        if not file.schema_arrow.equals(self._schema()):
            raise foreign(path)
        return Head.of(json.loads((file.schema_arrow.metadata or {})[b"fluxpath"]), path)
