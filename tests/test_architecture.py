"""Imports run in the direction that docs/architecture.md draws."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "fluxpath"
FREE = {"runtime", "export", "cli", "bench", "demo", "__init__", "__main__"}
"""These may import whatever they offer."""
LARGEST_ROOM = 12


def allowed() -> dict[str, set[str]]:
    """The table: which rooms each room may import."""
    rows = {}
    for line in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3 and (cells[0] == "`contract`" or "/" in cells[0] + "/"):
            rows[cells[0].strip("`")] = set(cells[2].replace("`", "").split())
    return rows


def room_of(module: str) -> str:
    """The room of a module, as in `fluxpath.runtime.lanes.gathering`."""
    _, top, *rest = [*module.split("."), "__init__"]
    if top in ("runtime", "export"):
        return top if rest[0] == "__init__" else f"{top}/{rest[0]}"
    return top if top in FREE or top == "kernels" else "contract"


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package by its dotted name."""
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        yield ".".join(("fluxpath", *(parts[:-1] if parts[-1] == "__init__" else parts))), path


def followed() -> Iterator[tuple[str, Path]]:
    """`modules`, also through the symbolic links, which `rglob` does not follow everywhere."""
    yield from modules()
    for top in ("runtime", "export", "kernels"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(("fluxpath", *(parts[:-1] if parts[-1] == "__init__" else parts))), path


def imported(path: Path, names: set[str]) -> set[str]:
    """The modules of this package that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.split(".")[0] == "fluxpath"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "fluxpath":
            parts = {f"{node.module}.{a.name}" for a in node.names}
            found |= {part if part in names else str(node.module) for part in parts}
    return found


@pytest.fixture(scope="module")
def imports() -> dict[str, dict[str, set[str]]]:
    """room: room that it imports: the modules that do."""
    known = dict(followed())
    rooms: dict[str, dict[str, set[str]]] = {}
    for module, path in known.items():
        for other in imported(path, set(known)):
            source, target = room_of(module), room_of(other)
            if source != target and source not in FREE:
                rooms.setdefault(source, {}).setdefault(target, set()).add(module)
    return rooms


def test_rooms_import_what_the_table_allows(imports: dict[str, dict[str, set[str]]]) -> None:
    table = allowed()
    wrong = {
        (source, target): sorted(by)
        for source, targets in imports.items()
        for target, by in targets.items()
        if target not in table.get(source, set()) | {"contract", "__init__"}
    }
    assert not wrong


def test_the_table_lists_no_more_than_there_is(imports: dict[str, dict[str, set[str]]]) -> None:
    """So that it stays the picture of the code; and every room has its row."""
    table = allowed()
    rooms = {room_of(module) for module, _ in followed()} - FREE
    assert set(table) == rooms
    unused = {
        (room, other) for room, others in table.items() for other in others - set(imports.get(room, {}))
    }
    assert not unused


def test_there_is_no_circle() -> None:
    table, order = allowed(), set[str]()
    while rest := set(table) - order:
        ready = {room for room in rest if table[room] <= order}
        assert ready, f"these import one another: {sorted(rest)}"
        order |= ready


def test_no_room_of_the_runtime_is_crowded() -> None:
    for folder in [p for p in (ROOT / "runtime").rglob("*") if p.is_dir() and p.name != "__pycache__"]:
        assert len(list(folder.glob("*.py"))) <= LARGEST_ROOM, folder


def test_the_check_sees_imports_inside_functions(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text("def f():\n    from fluxpath.runtime.bulk import many\n    import fluxpath.export.cost\n")
    found = imported(file, {"fluxpath.runtime.bulk.many"})
    assert {room_of(m) for m in found} == {"runtime/bulk", "export/cost"}
