"""Every benchmark can be started, nothing that it imports has moved away; and what two of them conclude."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FILES = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", [file.stem for file in FILES if file.stem != "__init__"])
def test_it_can_be_imported(name):
    try:
        importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("benchmarks", "fluxpath"):
            raise
        pytest.skip(f"{error.name} is not installed")


@pytest.fixture
def guard() -> Any:
    return pytest.importorskip("benchmarks.guard")


def test_the_demos_module_is_the_demos_model() -> None:
    torch, own = pytest.importorskip("torch"), pytest.importorskip("benchmarks.own")
    onnxruntime = pytest.importorskip("onnxruntime")
    images = np.random.default_rng(0).random((4, 1, 8, 8), np.float32)
    session = onnxruntime.InferenceSession(own.DIGITS, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        found = own.digits()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, session.run(None, {"image": images})[0], rtol=1e-4, atol=1e-4)


def test_the_interval_of_a_ratio(guard: Any) -> None:
    """Both of a pair are as slow as the machine was then; the ratio does not see it."""
    rng = np.random.default_rng(0)
    before = rng.uniform(1, 5, 30)
    after = before * rng.normal(1.1, 0.02, 30)
    median, low, high = guard.ratio(list(zip(before, after, strict=True)))
    assert 1.05 < low <= median <= high < 1.15


@pytest.mark.parametrize(("factor", "missing", "said", "code"), [
    (1.2, 0, "SLOWER", 1),
    (0.8, 0, "faster", 0),
    (1.0, 0, "1.000", 0),
    (1.2, 1, "1.200", 0),
])  # fmt: skip
def test_a_verdict_needs_enough_pairs(
    factor: float, missing: int, said: str, code: int, guard: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    times = [(1.0 + k / 100, factor * (1.0 + k / 100)) for k in range(guard.ENOUGH - missing)]
    assert guard._told({"a case": times}, 0.5) == code
    printed = capsys.readouterr().out
    assert said in printed and ("SLOWER" in printed) == bool(code) and "too much for a verdict" in printed


def test_the_six_cases_are_methods(guard: Any) -> None:
    import fluxpath.runtime as runtime

    assert len(guard.CASES) == 6
    for name, settings, count in guard.CASES.values():
        assert isinstance(getattr(runtime, name)(**json.loads(settings)), runtime.Method) and count >= 1


def test_memory_is_the_median_of_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    memory = pytest.importorskip("benchmarks.memory")
    taken = iter([3.0, 90.0, 5.0])

    def apart(_: Any, work: Any, *__: Any) -> Any:
        if work is memory.compiled:
            return tmp_path
        return next(taken) if work is memory.grown else {"graph": 3.0, "live": 2.0, "engine": 1.0}

    monkeypatch.setattr(memory, "apart", apart)
    (row,) = memory.measure("ResNet-20", [8], tmp_path, 3)
    assert (row["measured_mb"], row["tries_mb"]) == (5.0, [3.0, 90.0, 5.0])
    assert row["predicted_over_measured"] == 0.8


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux forgets its peaks")
def test_a_peak_before_the_slots_does_not_count(tmp_path: Path) -> None:
    pytest.importorskip("benchmarks.memory")
    code = """if True:
        import sys
        from pathlib import Path
        import numpy as np
        from benchmarks.memory import grown
        from fluxpath.cli.demo import MODEL
        from fluxpath.export import gradient_from_onnx
        path = gradient_from_onnx(MODEL, Path(sys.argv[1]) / "g.onnx").path
        np.ones(2**26)  # half a gigabyte, at once given back
        print(grown(path, 1))
    """
    root = Path(__file__).parents[1]
    found = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=root, capture_output=True, check=True)
    assert 0 < float(found.stdout) < 100
