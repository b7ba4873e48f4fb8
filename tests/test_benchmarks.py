"""What `make bench` and the guard compare."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")
import onnxruntime
import torch

from benchmarks import guard, own


def test_the_demos_module_is_the_demos_model() -> None:
    images = np.random.default_rng(0).random((4, 1, 8, 8), np.float32)
    session = onnxruntime.InferenceSession(own.DIGITS, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        found = own.digits()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(found, session.run(None, {"image": images})[0], rtol=1e-4, atol=1e-4)


def test_the_interval_of_a_ratio() -> None:
    """Both of a pair are as slow as the machine was then; the ratio does not see it."""
    rng = np.random.default_rng(0)
    before = rng.uniform(1, 5, 30)
    after = before * rng.normal(1.1, 0.02, 30)
    median, low, high = guard.ratio(list(zip(before, after, strict=True)))
    assert 1.05 < low <= median <= high < 1.15


@pytest.mark.parametrize(("factor", "pairs", "said", "code"), [
    (1.2, 20, "SLOWER", 1),
    (0.8, 20, "faster", 0),
    (1.0, 20, "1.000", 0),
    (1.2, guard.ENOUGH - 1, "1.200", 0),
])  # fmt: skip
def test_a_verdict_needs_enough_pairs(
    factor: float, pairs: int, said: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    times = [(1.0 + k / 100, factor * (1.0 + k / 100)) for k in range(pairs)]
    assert guard._told({"a case": times}, 0.5) == code
    printed = capsys.readouterr().out
    assert said in printed and ("SLOWER" in printed) == bool(code) and "too much for a verdict" in printed


def test_the_six_cases_are_methods() -> None:
    import json

    import fluxpath.runtime as runtime

    assert len(guard.CASES) == 6
    for name, settings, count in guard.CASES.values():
        assert isinstance(getattr(runtime, name)(**json.loads(settings)), runtime.Method) and count >= 1
