"""Half precision emulated in float32: every value rounded, and nothing else changed."""

from __future__ import annotations

from pathlib import Path

import models
import numpy as np
import onnx_ir as ir
import pytest

from fluxpath.errors import ArtifactError, ModelError
from fluxpath.export.rounding import write_rounded
from fluxpath.manifest import Manifest
from fluxpath.runtime import MFABA, Explainer, OnnxSession
from fluxpath.runtime.lanes import Fresh, Lanes

HALVES = {"float16": ir.DataType.FLOAT16.numpy(), "bfloat16": ir.DataType.BFLOAT16.numpy()}


def gradients(path: Path, images: np.ndarray) -> np.ndarray:
    """One evaluation, node by node."""
    session = OnnxSession(path, threads=1, optimized=False)
    lanes = Lanes(len(images), images.shape[1:], 0, 1)
    lanes.fill([Fresh(slot, image.ravel(), 1) for slot, image in enumerate(images)])
    session.bind(lanes)
    session.run(len(images))
    return lanes.gradient


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("name", ["smooth", "relu"])
def test_every_value_is_one_of_the_half_precision(graph, tmp_path, name, precision):
    manifest = write_rounded(graph(name), tmp_path / "r.onnx", precision)
    assert isinstance(manifest, Manifest) and manifest.precision == precision
    images = models.images(name, 8)
    given, exact = gradients(tmp_path / "r.onnx", images), gradients(graph(name), images)
    np.testing.assert_array_equal(given, given.astype(HALVES[precision]).astype(np.float32))
    assert np.any(exact != exact.astype(HALVES[precision]).astype(np.float32))
    apart = np.linalg.norm(given - exact, axis=1) / np.linalg.norm(exact, axis=1)
    epsilon = 2.0**-11 if precision == "float16" else 2.0**-8
    assert epsilon / 16 < np.median(apart) < 32 * epsilon


def test_float16_is_what_a_float16_graph_gives_but_for_the_order_of_sums(graph, tmp_path):
    write_rounded(graph("smooth"), tmp_path / "r.onnx", "float16")
    images = models.images("smooth", 8)
    half = gradients(graph("smooth", precision="float16"), images)
    np.testing.assert_allclose(gradients(tmp_path / "r.onnx", images), half, atol=2e-3 * np.abs(half).max())


def test_settings_of_the_graph_go_along(graph, tmp_path):
    path = graph("smooth", objective="margin", factored=False, class_names=("a", "b", "c", "d"))
    manifest = write_rounded(path, tmp_path / "r.onnx", "bfloat16")
    assert (manifest.objective, manifest.factored) == ("margin", False)
    assert manifest.class_names == ("a", "b", "c", "d")
    with Explainer.from_session(OnnxSession(tmp_path / "r.onnx", optimized=False)) as explainer:
        assert np.isfinite(
            explainer.attribute(models.images("smooth", 2), method=MFABA(step_size=0.1)).values
        ).all()


def test_what_cannot_be_rounded(graph, tmp_path):
    out = tmp_path / "r.onnx"
    with pytest.raises(ModelError, match="no half precision 'float32', there are float16, bfloat16"):
        write_rounded(graph("smooth"), out, "float32")
    with pytest.raises(ModelError, match="computes in float16 already"):
        write_rounded(graph("smooth", precision="float16"), out, "float16")
    with pytest.raises(ModelError, match="DeepLIFT's differences need float32"):
        write_rounded(graph("relu", rules="deeplift", objective="logit"), out, "float16")
    with pytest.raises(ArtifactError, match="only ONNX can be rounded"):
        write_rounded(Path("model.grad.pt"), out, "float16")
    assert not out.exists()
