"""What the tests of exports from torch share."""

from __future__ import annotations

import pytest


@pytest.fixture
def older_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The older exporter alone, which takes a tenth of a second where the newer takes several."""
    from fluxpath.export.torch_module import exporter

    monkeypatch.setattr(exporter, "attempts", lambda module: [exporter.Attempt(False, False)])
