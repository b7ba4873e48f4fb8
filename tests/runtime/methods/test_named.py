"""Methods by name, in Python and for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.methods import NAMES
from fluxpath.runtime import AGI, MFABA, ExpectedGradients, NeFLAG, method_named

OWN = """
from dataclasses import dataclass
from fluxpath.runtime import Saliency

@dataclass(frozen=True)
class Own(Saliency):
    factor: float = 2.0
    def __post_init__(self):
        if self.factor < 0:
            raise RuntimeError("no factor below zero")

class NoMethod: ...
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_methods.py").write_text(OWN)
    (tmp_path / "broken_methods.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "own_methods:Own"


def test_fluxpaths_own() -> None:
    assert method_named("mfaba-smooth", max_steps=3) == MFABA("smooth", max_steps=3)
    assert method_named("neflag", n=5) == NeFLAG(n=5)
    assert method_named("agi") == AGI()
    given = {"background": np.zeros((1, 3)), "references": np.zeros((1, 3))}
    for name, (made, _) in NAMES.items():
        needed = {
            k: v
            for k, v in given.items()
            if {"background": "ExpectedGradients", "references": "LPI"}[k] == made
        }
        assert type(method_named(name, **needed)).__name__ == made
    assert isinstance(method_named("expected-gradients", background=np.zeros((1, 3))), ExpectedGradients)


def test_ones_own(own: str) -> None:
    method: Any = method_named(own, factor=3.0)
    assert type(method).__name__ == "Own" and method.factor == 3.0


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("neflagg", {}, "there is no method 'neflagg': the nearest is neflag"),
        (
            "zzz",
            {},
            "there is no method 'zzz': there are mfaba-sharp, .*; one's own is named package",
        ),
        ("neflag", {"m": 3}, "neflag has no setting 'm', it has max_steps, n, radius, seed, stop"),
        ("neflag", {"n": 0}, "n is 0, it must be an integer from 1"),
        ("expected-gradients", {}, "expected-gradients needs the setting 'background': pass background="),
        ("none_such:Own", {}, "cannot import 'none_such': No module named"),
        ("broken_methods:Own", {}, "cannot import 'broken_methods': division by zero"),
        ("own_methods:Gone", {}, "module 'own_methods' has no 'Gone'"),
        ("own_methods:NoMethod", {}, r"must be a class derived from fluxpath\.runtime\.Method"),
        ("own_methods:dataclass", {}, r"must be a class derived from fluxpath\.runtime\.Method"),
        ("own_methods:Own", {"factor": -1}, "cannot be made with these settings: no factor below zero"),
        (":", {}, "cannot import ''"),
    ],
)
def test_what_there_is_not(own: str, name: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        method_named(name, **settings)
