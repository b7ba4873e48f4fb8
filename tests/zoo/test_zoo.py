"""Breadth: models of transformers and small torch modules, exported, against torch.autograd in float64.

A float32 graph may err twice as much as torch's own float32 gradient, or by 1e-4. `make test` takes the QUICK
ones, `make zoo` all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")
from zoo import measure  # noqa: E402
from zoo.architectures import ARCHITECTURES  # noqa: E402
from zoo.image_models import IMAGE_MODELS  # noqa: E402
from zoo.sound_models import SOUND_MODELS  # noqa: E402
from zoo.text_models import TEXT_MODELS  # noqa: E402
from zoo.toys import TOYS  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::FutureWarning")

MODELS = {**TOYS, **ARCHITECTURES, **IMAGE_MODELS, **TEXT_MODELS, **SOUND_MODELS}
QUICK = {"lstm", "conv1d", "resnet-basic", "vit", "bert", "nf-resnet"}
FACTOR, SMALL = 2, 1e-4


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These models are too small for more, and transformers has much to say."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.zoo) for n in MODELS]
)
def test_gradient(name: str, report: list[tuple[str, str, str, str]], tmp_path: Path) -> None:
    measured(name, tmp_path / "g.onnx", report)


@pytest.mark.zoo
@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")
def test_gradient_in_torchscript(name: str, report: list[tuple[str, str, str, str]], tmp_path: Path) -> None:
    measured(name, tmp_path / "g.pt", report)


def measured(name: str, path: Path, report: list[tuple[str, str, str, str]]) -> None:
    entry = MODELS[name]
    errors = measure.measure(entry.build(), entry.example(), path, name in IMAGE_MODELS | ARCHITECTURES)
    row = f"{name}{path.suffix if path.suffix == '.pt' else ''}"
    report.append((row, f"{errors.graph:.1e}", f"{errors.autograd:.1e}", "; ".join(errors.notes)))
    assert errors.graph <= max(FACTOR * errors.autograd, SMALL)


def test_a_gradient_one_percent_off_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the inputs, weights and targets leave no room to hide it."""
    right = measure.evaluator

    def wrong(artifact: object) -> object:
        run = right(artifact)
        return lambda feeds: {k: 1.01 * v if k == "gradient" else v for k, v in run(feeds).items()}

    monkeypatch.setattr(measure, "evaluator", wrong)
    entry = MODELS["conv1d"]
    errors = measure.measure(entry.build(), entry.example(), tmp_path / "g.onnx", bounded=False)
    assert errors.graph == pytest.approx(0.01, rel=1e-2)
    assert errors.graph > max(FACTOR * errors.autograd, SMALL)
