"""The files that other runtimes are given, written once, and a table of the errors at the end of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

ROWS = pytest.StashKey[list[tuple[str, str, float]]]()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files lie."""
    return tmp_path_factory.mktemp("runtimes")


@pytest.fixture
def report(request: pytest.FixtureRequest) -> list[tuple[str, str, float]]:
    """Rows of (runtime, file, largest relative error)."""
    return request.config.stash.setdefault(ROWS, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("largest relative error against ONNX Runtime")
        for runtime, file, error in rows:
            terminalreporter.write_line(f"{runtime:24} {file:32} {error:.1e}")
