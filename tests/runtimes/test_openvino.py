"""Every file gives in OpenVINO what it gives in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
openvino = pytest.importorskip("openvino", reason="openvino is not installed")
from runtimes import files  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::FutureWarning")

# By default OpenVINO computes in bfloat16 where the CPU has instructions for it.
FLOAT32 = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}


def largest_error(path: Path) -> float:
    """Over batches of every size, one compiled model for all."""
    compiled = openvino.Core().compile_model(str(path), "CPU", FLOAT32)
    reference, errors = files.session(path), []
    for batch in files.BATCHES:
        given = files.feeds(reference, batch)
        found, true = compiled(given), files.expected(reference, given)
        errors.append(files.error({name: found[name] for name in true}, true))
    return max(errors)


@pytest.mark.parametrize("name", files.MODELS)
def test_gradient(name: str, folder: Path, report: list[tuple[str, str, float]]) -> None:
    error = largest_error(files.gradient(name, folder))
    report.append((f"OpenVINO {openvino.__version__[:8]}", f"{name}, gradient", error))
    assert error < files.TOLERANCE


@pytest.mark.parametrize("name", files.METHODS)
def test_whole_method(name: str, folder: Path, report: list[tuple[str, str, float]]) -> None:
    error = largest_error(files.whole(name, folder))
    report.append((f"OpenVINO {openvino.__version__[:8]}", f"{name}, {files.METHODS[name][0]}", error))
    assert error < files.TOLERANCE


def test_a_row_that_is_off_is_seen() -> None:
    right = {"gradient": np.ones((2, 3)), "label": np.array([1, 2])}
    assert files.error({**right, "gradient": right["gradient"] * [[1], [1.01]]}, right) == pytest.approx(0.01)
    assert files.error({**right, "label": np.array([1, 1])}, right) == np.inf
