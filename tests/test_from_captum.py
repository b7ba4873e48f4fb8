"""Each row of docs/from-captum.md is true: both calls of it are made, on the network of that page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from code_blocks import blocks_of, run

PAGE = Path(__file__).parents[1] / "docs" / "from-captum.md"
ROWS = re.findall(r"^\| `(.+?)` \| `(.+?)` \| ([\d.e-]+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page's blocks define."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("captum"))
        return run(blocks_of(PAGE))


def test_there_are_rows() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert len(ROWS) == len([line for line in lines if line.startswith("| `")]) > 10


@pytest.mark.filterwarnings("ignore:Setting forward, backward hooks")
@pytest.mark.parametrize(("captum", "fluxpath", "within"), ROWS, ids=range(len(ROWS)))
def test_both_calls_give_the_same(names: dict[str, Any], captum: str, fluxpath: str, within: str) -> None:
    names["torch"].manual_seed(0)
    theirs = eval(captum, names).detach().numpy()
    ours = eval(fluxpath, names).values
    for mine, their in zip(ours, theirs, strict=True):
        assert np.linalg.norm(mine - their) < float(within) * np.linalg.norm(their)
