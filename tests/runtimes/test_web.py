"""Every file gives in onnxruntime-web (WebAssembly, as in a browser) what it gives in ONNX Runtime.

It runs where node is installed, and onnxruntime-web after `make web`, which needs the network.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
from runtimes import files  # noqa: E402

HERE = Path(__file__).resolve().parent
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.filterwarnings("default::DeprecationWarning", "default::FutureWarning"),
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (HERE / "node_modules" / "onnxruntime-web").is_dir(),
        reason="onnxruntime-web is not installed: make web",
    ),
]


def job(path: Path, batch: int, folder: Path) -> tuple[dict[str, object], files.Arrays]:
    """What web.mjs is told, its arrays written to `folder`, and the right outputs."""
    reference = files.session(path)
    given = files.feeds(reference, batch)
    true = files.expected(reference, given)
    inputs = {}
    for name, array in given.items():
        file = folder / f"{path.stem}.{batch}.{name}.in"
        file.write_bytes(np.ascontiguousarray(array).tobytes())
        inputs[name] = {"type": str(array.dtype), "dims": array.shape, "path": str(file)}
    outputs = {name: str(folder / f"{path.stem}.{batch}.{name}.out") for name in true}
    return {"model": str(path), "inputs": inputs, "outputs": outputs}, true


def test_every_file(folder: Path, tmp_path: Path, report: list[tuple[str, str, float]]) -> None:
    """In one process of node, whose start takes longer than most of the files."""
    paths = {f"{name}, gradient": files.gradient(name, folder) for name in files.MODELS}
    paths |= {f"{name}, {method}": files.whole(name, folder) for name, (method, _) in files.METHODS.items()}
    jobs = {(title, n): job(path, n, tmp_path) for title, path in paths.items() for n in files.BATCHES}
    (tmp_path / "jobs.json").write_text(json.dumps([told for told, _ in jobs.values()]))
    command = [str(NODE), str(HERE / "web.mjs"), str(tmp_path / "jobs.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    worst = dict.fromkeys(paths, 0.0)
    for (title, _), (told, true) in jobs.items():
        where = told["outputs"]
        assert isinstance(where, dict)
        found = {k: np.fromfile(where[k], v.dtype).reshape(v.shape) for k, v in true.items()}
        worst[title] = max(worst[title], files.error(found, true))
    report.extend((f"onnxruntime-web {done.stdout.strip()}", title, e) for title, e in worst.items())
    assert max(worst.values()) < files.TOLERANCE
