"""What this machine has measured so far, short.

python -m benchmarks.gpu.summary
"""

from __future__ import annotations

import statistics

from benchmarks.gpu.place import Row, noted
from benchmarks.gpu.sides import METHODS


def main() -> int:
    """Print failures, bandwidths, a table of times in milliseconds an image, evaluations."""
    print("\nsummary")
    for row in noted("smoke"):
        if "error" in row:
            print(f"  smoke FAILED: {row['step']}: {row['error'][:160]}")
    for row in noted("bandwidth"):
        print(f"  {row['slots']:4} slots  {row['what']:44}{row['GB/s']:8.0f} GB/s")
    rows = noted("timing")
    for row in rows:
        if "error" in row:
            print(f"  FAILED {row['model']} {row['side']}: {row['error'][:160]}")
    for model in dict.fromkeys(row["model"] for row in rows if "seconds" in row):
        _table(model, [row for row in rows if row["model"] == model and "seconds" in row])
    for row in noted("evaluations"):
        _evaluation(row)
    return 0


def _table(model: str, rows: list[Row]) -> None:
    """A line a side; of each method one image at a time and many, and the distance from float64."""
    methods = [method for method in METHODS if any(row["method"] == method for row in rows)]
    print(f"\n  {model:38}" + "".join(f"{method:>30}" for method in methods))
    print(f"  {'ms an image':38}" + f"{'one':>10}{'many':>10}{'off':>10}" * len(methods))
    for side in dict.fromkeys(row["side"] for row in rows):
        cells = ""
        for method in methods:
            found = {row["batch"]: row for row in rows if (row["side"], row["method"]) == (side, method)}
            times = [_per_image(found.get(batch)) for batch in ("one", "many")]
            apart = found.get("many", {}).get("agreement")
            cells += "".join(times) + (f"{apart['distance']:10.1e}" if apart else " " * 10)
        print(f"  {side:38}{cells}")


def _per_image(row: Row | None) -> str:
    return " " * 10 if row is None else f"{1e3 * statistics.median(row['seconds']) / row['images']:10.3f}"


def _evaluation(row: Row) -> None:
    what = f"  evaluation {row['model']} {row['stack']} {row['precision']} batch {row['batch']}"
    print(f"{what}: FAILED {row['error'][:120]}" if "error" in row else f"{what}: {row['ms']:.3f} ms")


if __name__ == "__main__":
    raise SystemExit(main())
