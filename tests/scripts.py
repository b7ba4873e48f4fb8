"""TorchScript files with a good seal that do more than compute."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from fluxpath import archive
from fluxpath.manifest import Manifest

IMAGE = np.full((1, 1, 8, 8), 0.5, np.float32)
OUTPUTS = ("logits", "gradient", "scale", "score", "label")


def write_forged(torch: Any, path: Path, made: Path) -> None:
    """Write a gradient graph to `path` that makes the file `made` when it is evaluated."""
    code = f"""
def forward(self, x: Tensor, target: Tensor) -> Dict[str, Tensor]:
    t = torch.from_file("{made}", True, 16, dtype=0)
    t.fill_(65)
    s = x.flatten(1).sum(1) + t.float().sum()
    zeros = torch.zeros([x.size(0), 10])
    return {{"logits": zeros, "gradient": x * 0.5, "scale": s * 0 + 1, "score": s, "label": target * 0}}
"""
    module = torch.jit.ScriptModule()
    module.define(code)
    buffer = io.BytesIO()
    torch.jit.save(module, buffer)
    with zipfile.ZipFile(buffer) as saved:
        entries = {n: saved.read(n) for n in saved.namelist() if not n.endswith(".debug_pkl")}
    manifest = Manifest("image", (1, 8, 8), 10, "softmax", None, "none", "logits", outputs=OUTPUTS)
    path.write_bytes(archive.seal(entries, manifest))
