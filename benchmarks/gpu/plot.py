"""Draws what `python -m benchmarks.gpu` measured, where matplotlib is installed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def plot(results: Sequence[dict[str, Any]], path: Path) -> bool:
    """Images a second by side, a panel a model, batch and method; False where there is nothing to draw.

    Or nothing to draw with: matplotlib is missing.
    """
    if not results:
        return False
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return False
    panels = list(dict.fromkeys((r["model"], r["images"], r["method"]) for r in results))
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(6 * columns, 3.4 * rows), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, panel in zip(axes.flat, panels, strict=False):
        mine = [r for r in results if (r["model"], r["images"], r["method"]) == panel]
        rates = [r["images"] / statistics.median(r["seconds"]) for r in mine]
        colors = ["tab:blue" if r["side"].startswith("fluxpath") else "tab:grey" for r in mine]
        axis.barh(range(len(mine)), rates, color=colors)
        axis.set_yticks(range(len(mine)), [r["side"] for r in mine], fontsize=7)
        axis.invert_yaxis()
        axis.set_title("{}, batch {}, {}".format(*panel), fontsize=9)
        axis.set_xlabel("images/s", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return True
