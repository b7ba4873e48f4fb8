"""Where the relevant pixels are known by construction, methods find them and random numbers do not."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("sklearn")

from sklearn.metrics import average_precision_score

from benchmarks import known_relevance as known
from fluxpath.methods import NAMES

IMAGES, SEED = 24, 3


@pytest.fixture(scope="module")
def found() -> tuple[dict[str, dict[str, np.ndarray]], np.ndarray, int]:
    return known.compared(IMAGES, SEED)


def test_only_the_pixels_of_the_mask_can_matter() -> None:
    """Anything else up to 1/2 in the place of the rest leaves every logit as it was, to the bit."""
    session = onnx.reference.ReferenceEvaluator(known.classifier())
    images, labels, masks = known.pictures(8, SEED)
    (logits,) = session.run(None, {"x": images})
    assert (logits.argmax(1) == labels).all()
    other = np.random.default_rng(1).uniform(0, known.LIMIT, images.shape).astype(np.float32)
    (same,) = session.run(None, {"x": np.where(masks[:, None], images, other)})
    np.testing.assert_array_equal(same, logits)
    (without,) = session.run(None, {"x": np.where(masks[:, None], other, images)})
    assert not without.any()


def test_every_method_of_the_library_takes_part(found: tuple[dict[str, object], np.ndarray, int]) -> None:
    table, _, right = found
    assert set(table) == {*NAMES, known.RANDOM} and right == IMAGES


@pytest.mark.parametrize("score", known.SCORES)
def test_random_is_at_chance(
    found: tuple[dict[str, dict[str, np.ndarray]], np.ndarray, int], score: str
) -> None:
    table, masks, _ = found
    low, high = known.interval(score, table[known.RANDOM][score], share=0.999)
    assert low <= known.at_chance(masks)[score] <= high


def test_chance_is_the_mean_over_all_orders() -> None:
    """Of five pixels and two in the mask, by going through all orders."""
    masks = np.array([[[True, True, False, False, False]]])
    areas = [average_precision_score(masks[0, 0], order) for order in itertools.permutations(range(5))]
    assert known.at_chance(masks)["precision-recall area"] == pytest.approx(np.mean(areas))
    assert known.at_chance(masks)["pointing game"] == 0.4


@pytest.mark.parametrize("score", known.SCORES)
@pytest.mark.parametrize("name", NAMES)
def test_methods_find_the_shape(
    found: tuple[dict[str, dict[str, np.ndarray]], np.ndarray, int], name: str, score: str
) -> None:
    table, _, _ = found
    assert np.isfinite(table[name][score]).all()
    assert known.interval(score, table[name][score], share=0.999)[0] > 0.6


def test_the_benchmark_writes_what_it_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {score: np.array([0.0, 1.0]) for score in known.SCORES}
    monkeypatch.setattr(known, "compared", lambda n, seed: ({"saliency": scores}, np.eye(4) > 0, 2))
    monkeypatch.setattr("sys.argv", ["known_relevance", "--images", "2", "--out", str(tmp_path / "out.json")])
    known.main()
    assert "2 pictures, 2 classified right" in capsys.readouterr().out
    assert '"mean": 0.5' in (tmp_path / "out.json").read_text()
