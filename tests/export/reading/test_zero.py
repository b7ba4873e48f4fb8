"""A model that does not depend on its input, such as one with a head of zeros: the export says so."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import numpy as np
import small


def test_a_head_of_zeros_is_noted(tmp_path: Path) -> None:
    model = gradcheck.parse("h = Tanh(x) y = MatMul(h, v)", "batch,6", v=np.zeros((6, 5), np.float32))
    assert "zero at all inputs" in small.export(model, tmp_path).notes[0]


def test_others_are_not(tmp_path: Path) -> None:
    assert small.export(small.cnn(), tmp_path).notes == ()
