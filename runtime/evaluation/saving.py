"""Writes an evaluation: rows as CSV and Parquet, the summary as JSON, the report as HTML."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxpath.errors import InputError
from fluxpath.files import replacing
from fluxpath.runtime.evaluation import machine
from fluxpath.runtime.records.rows import stored

if TYPE_CHECKING:
    from fluxpath.runtime.evaluation.evaluation import Curve, Evaluation
    from fluxpath.runtime.evaluation.statistics import Interval

OUTPUTS = ("report.html", "results.csv", "results.json", "results.parquet")
# Rows that are held as Python objects at a time.
GROUP = 10_000


def save_all(found: Evaluation, folder: Path, temporary: Path | None = None) -> list[Path]:
    """Write every form that this Python can write into the folder, each file whole or not at all."""
    written = []
    for name in OUTPUTS:
        if name.endswith(".parquet") and not _has_pyarrow():
            continue
        with replacing(folder / name, temporary) as unfinished:
            FORMS[Path(name).suffix](found, unfinished)
        written.append(folder / name)
    return written


def save(found: Evaluation, path: Path) -> list[Path]:
    """See `Evaluation.save`. InputError for another suffix, a missing folder, and a file that is there."""
    if path.is_dir():
        for name in OUTPUTS:
            _need_free(path / name)
        return save_all(found, path)
    if path.suffix not in FORMS:
        raise InputError(f"'{path}' is neither a folder that there is nor a {', '.join(FORMS)} file")
    if not path.parent.is_dir():
        raise InputError(f"'{path}': there is no folder '{path.parent}' to write to")
    _need_free(path)
    with replacing(path) as unfinished:
        FORMS[path.suffix](found, unfinished)
    return [path]


def _need_free(path: Path) -> None:
    if os.path.lexists(path):
        raise InputError(f"'{path}' is there already: move it away, or write elsewhere")


def _csv(found: Evaluation, path: Path) -> None:
    with path.open("x", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for row in found.rows:
            if writer is None:
                writer = csv.DictWriter(file, list(row))
                writer.writeheader()
            writer.writerow(
                {k: "" if _is_nan(v) else stored(v) if isinstance(v, str) else v for k, v in row.items()}
            )


def _parquet(found: Evaluation, path: Path) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise InputError('Parquet files need pyarrow: pip install "fluxpath[parquet]"') from error
    texts, wholes = ("image", "method", "class_name", "status"), ("label", "predicted", "target", "steps")
    first = next(iter(found.rows))
    schema = pyarrow.schema(
        (stored(k), pyarrow.string() if k in texts else pyarrow.int64() if k in wholes else pyarrow.float64())
        for k in first
    )
    group: list[dict[str, Any]] = []
    with path.open("xb") as file, pyarrow.parquet.ParquetWriter(file, schema) as writer:

        def flush() -> None:
            writer.write_table(pyarrow.Table.from_pylist(group, schema))
            group.clear()

        for row in found.rows:
            group.append({stored(k): None if _is_nan(v) else stored(v) if isinstance(v, str) else v
                          for k, v in row.items()})  # fmt: skip
            if len(group) == GROUP:
                flush()
        flush()


def _json(found: Evaluation, path: Path) -> None:
    with path.open("x", encoding="utf-8") as file:
        json.dump(plain(summary(found)), file, ensure_ascii=True, indent=1, allow_nan=False)
        file.write("\n")


def _html(found: Evaluation, path: Path) -> None:
    from fluxpath.runtime.evaluation.report.page import page

    with path.open("x", encoding="utf-8", errors="replace", newline="\n") as file:
        file.writelines(page(found))


FORMS: Mapping[str, Callable[[Evaluation, Path], None]] = {
    ".html": _html,
    ".csv": _csv,
    ".json": _json,
    ".parquet": _parquet,
}


def summary(found: Evaluation) -> dict[str, Any]:
    """Everything but the rows and the photos, as JSON holds it."""
    return {
        "images": len(found),
        "failures": found.failures,
        "left_out": found.left_out,
        "labelled": found.labelled,
        "accuracy": found.accuracy,
        "metrics": {metric: _metric(found, metric) for metric in found.metrics},
        "spent": asdict(found.spent) | {"share_of_model": found.spent.share_of_model},
        "settings": settings(found),
        "model": {**found.about, **machine.model(found.manifest)},
        "machine": dict(found.machine),
        "versions": dict(found.versions),
        "date": found.date,
    }


def settings(found: Evaluation) -> dict[str, Any]:
    """What the run was asked to do."""
    plan = found.plan
    return {
        "methods": {name: repr(method) for name, method in plan.methods.items()},
        "metrics": {name: repr(metric) for name, metric in plan.metrics.items()},
        "target": plan.target,
        "only": plan.only,
        "sample": plan.sample,
        "seed": plan.seed,
        "batch": plan.batch,
    }


def _metric(found: Evaluation, metric: str) -> dict[str, Any]:
    return {
        "better": found.plan.metrics[metric].better,
        "methods": [
            {
                "method": each.name,
                "group": each.group,
                "mean": _interval(each.mean),
                "difference_from_best": None if each.difference is None else _interval(each.difference),
            }
            for each in found.standings(metric)
        ],
        "curves": {
            method: {name: _curve(curve) for name, curve in curves.items()}
            for method, curves in found.curves.get(metric, {}).items()
        },
    }


def _curve(curve: Curve) -> dict[str, Any]:
    bands = {"mean": curve.mean, "low": curve.low, "high": curve.high}
    return {**{name: each.tolist() for name, each in bands.items()}, "images": curve.count}


def _interval(found: Interval) -> dict[str, float | int]:
    bounds = {"mean": found.mean, "low": found.low, "high": found.high}
    return bounds | {"images": found.count, "infinite": found.infinite}


def plain(value: Any) -> Any:
    """The value with None in the place of numbers that JSON has not."""
    if isinstance(value, Mapping):
        return {stored(str(key)): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return stored(value) if isinstance(value, str) else value


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _has_pyarrow() -> bool:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        return False
    return True
