"""Tables with a row for each image: CSV, JSON lines, Parquet, Arrow as Hugging Face's datasets save it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fluxpath.errors import InputError, first_line
from fluxpath.files import regular
from fluxpath.runtime.evaluation.data.base import Data, Datum, Fitting, stamp_of
from fluxpath.runtime.evaluation.data.masks import Masks

IMAGES = (
    "path",
    "file",
    "file_name",
    "filename",
    "image",
    "image_path",
    "img",
    "img_path",
    "photo",
    "filepath",
)
LABELS = ("label", "labels", "class", "class_name", "target", "category", "fine_label", "y")
TEXT = (".csv", ".tsv", ".jsonl")
ARROW = (".parquet", ".arrow")
# Rows that are decoded at a time: they can hold whole photos.
ROWS = 16

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Columns, their rows from the first at each call, how many, and the names of a column's numbers."""

    columns: Sequence[str]
    rows: Callable[[Sequence[str]], Iterator[Row]]
    count: int
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)


def table_data(
    path: Path, fitting: Fitting, masks: Masks, image_column: str | None, label_column: str | None
) -> Data:
    """The images that a table lists, by paths relative to its folder or with their bytes, and their labels.

    image_column, label_column: their names, None to find them by IMAGES and LABELS. Raises InputError for a
    file that cannot be read, and columns that are not there.
    """
    fitting.need_photos()
    table = opened(path)
    images = _column(table.columns, image_column, IMAGES, path, "images", "--image-column")
    if images is None:
        raise InputError(
            f"'{path}' has no column of images among {', '.join(table.columns)}: name it with --image-column"
        )
    labels = _column(table.columns, label_column, LABELS, path, "labels", "--label-column")
    names = _names(table.names.get(labels or "", ()), fitting, path)
    folder = path if path.is_dir() else path.parent

    def label_of(row: Row, number: int) -> int | None:
        given = None if labels is None else row[labels]
        if names and isinstance(given, int) and 0 <= given < len(names):
            given = names[given]
        return fitting.label(given, f"'{path}', row {number + 1}")

    for number, row in enumerate(table.rows([labels]) if labels is not None else ()):
        label_of(row, number)  # a wrong one is found before hours are spent on those above it

    def items() -> Iterator[Datum]:
        for number, row in enumerate(table.rows([c for c in (images, labels) if c is not None])):
            label = label_of(row, number)
            name, photo = _photo(row[images], number, folder)
            yield Datum(
                name,
                lambda photo=photo, name=name: fitting.image(photo, name),  # type: ignore[misc]
                label,
                masks.of(name),
                stamp_of(photo, masks.file_of(name)),
            )

    return Data(items, table.count, str(path.resolve()), labels is not None)


def opened(path: Path) -> Table:
    """The table in a file, or in a folder as `datasets` saves it; InputError if it cannot be read."""
    if not path.is_dir() and path.suffix.lower() in TEXT:
        return _text(path)
    try:
        import pyarrow
    except ImportError as error:
        raise InputError(f"'{path}' needs pyarrow: pip install \"fluxpath[parquet]\"") from error
    try:
        return _parquet(path) if path.suffix.lower() == ".parquet" else _saved(path)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"'{path}' cannot be read as a table: {first_line(error)}") from error


def _text(path: Path) -> Table:
    def lines() -> Iterator[Row]:
        with open(path, encoding="utf-8-sig", newline="", opener=regular) as file:
            if path.suffix.lower() == ".jsonl":
                yield from (_object(line, number) for number, line in enumerate(file, 1) if line.strip())
            else:
                yield from csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")

    def rows(columns: Sequence[str]) -> Iterator[Row]:
        for row in lines():
            yield {column: row.get(column) for column in columns}

    try:
        columns: dict[str, None] = {}
        count = 0
        for row in lines():
            columns.update(dict.fromkeys(key for key in row if key is not None))
            count += 1
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"'{path}' cannot be read as a table: {first_line(error)}") from error
    if not count:
        raise InputError(f"'{path}' has no rows below a header")
    return Table(tuple(columns), rows, count)


def _object(line: str, number: int) -> Row:
    """The row that a line of JSON is; ValueError, which names the line, if it is none."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number}, column {error.colno}: {error.msg}") from error
    if not isinstance(row, dict):
        raise ValueError(f"line {number} is no JSON object")
    return row


def _parquet(path: Path) -> Table:
    from pyarrow.parquet import ParquetFile

    def rows(columns: Sequence[str]) -> Iterator[Row]:
        with open(path, "rb", opener=regular) as stream, ParquetFile(stream) as file:
            for batch in file.iter_batches(ROWS, columns=list(columns)):
                yield from batch.to_pylist()

    with open(path, "rb", opener=regular) as stream, ParquetFile(stream) as file:
        schema = file.schema_arrow
        return Table(tuple(schema.names), rows, file.metadata.num_rows, _class_names(schema.metadata))


def _saved(path: Path) -> Table:
    """An .arrow file, or the folder that `Dataset.save_to_disk` wrote."""
    import pyarrow

    files = [path]
    if path.is_dir():
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        files = [path / Path(entry["filename"]).name for entry in state["_data_files"]]
        if state.get("_indices_files"):
            raise InputError(f"'{path}' holds rows in another order: save it after flatten_indices()")

    def batches() -> Iterator[Any]:
        for file in files:
            with open(file, "rb", opener=regular) as stream:
                magic = stream.read(6)
                stream.seek(0)
                if magic == b"ARROW1":
                    reader = pyarrow.ipc.open_file(stream)
                    yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
                else:
                    yield from pyarrow.ipc.open_stream(stream)

    def rows(columns: Sequence[str]) -> Iterator[Row]:
        for batch in batches():
            for at in range(0, batch.num_rows, ROWS):
                yield from batch.select(list(columns)).slice(at, ROWS).to_pylist()

    count, schema = 0, None
    for batch in batches():
        count, schema = count + batch.num_rows, batch.schema
    if schema is None:
        raise InputError(f"'{path}' has no rows")
    names = dict(_class_names(schema.metadata))
    if path.is_dir() and not names and (path / "dataset_info.json").is_file():
        names = _class_features(json.loads((path / "dataset_info.json").read_text(encoding="utf-8")))
    return Table(tuple(schema.names), rows, count, names)


def _class_names(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Sequence[str]]:
    """The names of the classes in each column, as `datasets` writes them beside a schema."""
    about = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    return _class_features(about.get("info") or {})


def _class_features(info: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    features = info.get("features") or {}
    return {
        column: feature["names"]
        for column, feature in features.items()
        if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names")
    }


def _names(names: Sequence[str], fitting: Fitting, path: Path) -> Sequence[str]:
    """The table's class names if they are the model's, so that numbers of either mean the same class.

    InputError where the model's names are others, unless there are as many: then the numbers count.
    """
    if not names or fitting.manifest.class_names is None:
        return ()
    try:
        for name in names:
            fitting.label(name, f"'{path}'")
    except InputError:
        if len(names) == fitting.manifest.classes:
            return ()
        raise
    return names


def _photo(cell: Any, number: int, folder: Path) -> tuple[str, Any]:
    """Name and photo in a cell: a path, bytes, or the dict of both that `datasets` keeps."""
    if isinstance(cell, dict) and {"bytes", "path"} & set(cell):
        path = cell.get("path") or f"{number:06d}"
        if cell.get("bytes") is not None:
            return path, cell["bytes"]
        cell = path
    if isinstance(cell, bytes):
        return f"{number:06d}", cell
    if isinstance(cell, str) and cell:
        return cell, folder / cell
    return f"{number:06d}", _Missing(number)


class _Missing:
    """A cell without a photo, which fails like a damaged one."""

    def __init__(self, number: int) -> None:
        self._number = number

    def read(self, size: int = -1) -> bytes:
        raise InputError(f"row {self._number + 1} has neither a path nor the bytes of a photo")


def _column(
    columns: Sequence[str], given: str | None, usual: Sequence[str], path: Path, what: str, option: str
) -> str | None:
    """The column called `given`, or the first of the usual names that there is."""
    if given is not None:
        if given not in columns:
            raise InputError(
                f"'{path}' has no column '{given}' of {what}, it has {', '.join(columns)}: see {option}"
            )
        return given
    by_name = {column.strip().lower(): column for column in reversed(columns)}
    return next((by_name[name] for name in usual if name in by_name), None)
