"""docs/scale.md: its table is what its code gives."""

from __future__ import annotations

from pathlib import Path

import code_blocks

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scale.md"


def duration(seconds: float) -> str:
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 259200 else f"{seconds / 86400:.1f} d"


def whole(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ")


def test_the_table_is_the_models() -> None:
    names = code_blocks.run(code_blocks.blocks_of(PAGE))
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rows = [row for row in cells if len(row) == 9 and row[1].isdecimal()]
    assert len(rows) == 10
    sizes = {"1 M": 1e6, "100 M": 1e8, "10 G": 1e10}
    for i, (name, workers, *found) in enumerate(rows):
        job = (names["resnet50"] if i < 5 else names["resnet20"])(sizes[name], int(workers))
        assert found == [
            duration(job.seconds),
            f"${whole(job.price_of_computing)}",
            f"{job.network / 1e9:.3g} GB/s",
            f"{job.storage / 1e12:.3g} TB" if job.storage < 1e15 else f"{job.storage / 1e15:.3g} PB",
            f"${whole(job.storage / 1e12 * 23)}",
            whole(job.parts),
            f"{job.driver:.2g}",
        ], name
