"""The blocks of docs/adapters.md run, but for those of a library that is not installed."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from code_blocks import blocks_of, run, stage

pytest.importorskip("torch")
PAGE = Path(__file__).parents[1] / "docs" / "adapters.md"


def libraries(text: str) -> set[str]:
    """The other libraries that a block imports."""
    return set(re.findall(r"^(?:import|from) (captum|quantus|saliency)\b", text, re.MULTILINE))


@pytest.mark.filterwarnings("default")  # those of other packages are not ours to mend
def test_the_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stage(tmp_path)
    blocks = blocks_of(PAGE)
    assert set().union(*(libraries(block.text) for block in blocks)) == {"captum", "quantus", "saliency"}
    run([b for b in blocks if all(importlib.util.find_spec(name) for name in libraries(b.text))])
