"""The README's Python runs as it stands there, one block after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import gradcheck
import numpy as np
import onnx
import pytest
from PIL import Image

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "c = AveragePool<kernel_shape=[56, 56], strides=[56, 56]>(x) f = Flatten(c) y = Gemm(f, v)"
    onnx.save(gradcheck.parse(text, "batch,3,224,224", v=(48, 6)), "model.onnx")
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)).save("photos/a.png")
    blocks = re.findall(
        r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["summary"].written == 1
    assert {path.name for path in tmp_path.glob("out.*")} == {"out.parquet", "out.npz"}
