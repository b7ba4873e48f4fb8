"""Prints the errors of the zoo's models as a table at the end of the run."""

from __future__ import annotations

import pytest

ROWS = pytest.StashKey[list[tuple[str, str, str, str]]]()


@pytest.fixture
def report(request: pytest.FixtureRequest) -> list[tuple[str, str, str, str]]:
    """Rows of (model, error of the graph, error of autograd in float32, notes)."""
    return request.config.stash.setdefault(ROWS, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.section("relative L2 error of the gradient against torch.autograd in float64")
        for name, graph, autograd, notes in [("model", "graph", "autograd", "notes"), *rows]:
            terminalreporter.write_line(f"{name:20} {graph:>8} {autograd:>8}  {notes}".rstrip())
