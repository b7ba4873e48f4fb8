"""The tests mirror the runtime: whoever looks for a module's tests finds them where the module lies."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_module_of_the_runtime_has_a_test_file_of_its_name():
    modules = [path for path in (ROOT / "runtime").rglob("*.py") if path.name != "__init__.py"]
    assert len(modules) > 50, "else they were looked for in the wrong place"
    wanted = (
        path.relative_to(ROOT).with_name(f"test_{path.name.removeprefix('_')}") for path in sorted(modules)
    )
    assert [str(path) for path in wanted if not (ROOT / "tests" / path).is_file()] == []
