"""Sizes that a model leaves open, and at which of them it is verified."""

from __future__ import annotations

from pathlib import Path

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError

SURE = "z = MatMul(x, v)"  # [batch, 6] to five logits


def dense(tail: str = "", dims: str = "batch,6", text: str = SURE, **options: object) -> onnx.ModelProto:
    options = {"v": (6, 5), **options}
    return gradcheck.parse(f"{text} {tail}", dims, **{"outputs": "y" if tail else "z", **options})


def deep(dims: str) -> onnx.ModelProto:
    """Takes pictures of 40 by 40 at least."""
    text = "c = Conv(x, w) p = GlobalAveragePool(c) f = Flatten(p) y = Gemm(f, v)"
    return gradcheck.parse(text, dims, w=(4, 3, 40, 40), v=(4, 5))


def test_open_sizes_are_verified_at_one_that_the_model_takes(tmp_path: Path) -> None:
    exported = small.export(deep("batch,3,h,w0"), tmp_path)
    assert exported.manifest.shape == (3, None, None)
    for size in (40, 57):
        assert np.isfinite(small.run(exported.path, small.images(1, 3, size, size), 0)["gradient"]).all()


def test_open_sizes_that_no_usual_one_fits(tmp_path: Path) -> None:
    text = "f = Flatten(x) y = Gemm(f, v)"
    model = gradcheck.parse(text, "batch,3,h,w0", v=(3 * 5 * 7, 5))
    with pytest.raises(ModelError, match=r"'x' has the open sizes \[3, \?, \?\].*shape= .*--shape"):
        small.export(model, tmp_path)
    exported = small.export(model, tmp_path, shape=(3, 5, 7))
    assert exported.manifest.shape == (3, 5, 7)


def test_a_shape_that_does_not_fit(tmp_path: Path) -> None:
    for shape in ((4, 40, 40), (3, 40), (3, 40, 40, 40)):
        with pytest.raises(ModelError, match=r"shape is .*input 'x' has the sizes \[3, \?, \?\]"):
            small.export(deep("batch,3,h,w0"), tmp_path, shape=shape)
    with pytest.raises(ModelError, match="sizes must be 1 or more"):
        small.export(deep("batch,3,h,w0"), tmp_path, shape=(3, 0, 40))


@pytest.mark.parametrize("ends", [("input",), ("output",), ("input", "output")])
def test_sizes_of_minus_one_are_open(tmp_path: Path, ends: tuple[str, ...]) -> None:
    model = small.cnn(dims="batch,3,h,w0" if "input" in ends else "batch,3,4,4")
    for end in ends:
        for size in getattr(model.graph, end)[0].type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_value = -1
    exported = small.export(model, tmp_path)
    assert exported.verification.error < 1e-4
    assert (None in exported.manifest.shape) == ("input" in ends)
