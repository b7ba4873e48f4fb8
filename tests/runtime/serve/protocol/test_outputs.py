"""Attributions as tensors."""

from __future__ import annotations

import io

import models
import numpy as np
import pytest
from PIL import Image

from fluxpath.errors import InputError
from fluxpath.runtime import NeFLAG
from fluxpath.runtime.pictures import Drawing, heatmap
from fluxpath.runtime.serve.protocol.outputs import png, size_of, tensors_of

IMAGES = models.images("smooth", 2)


def test_each_output(smooth):
    result = smooth.attribute(IMAGES, method=NeFLAG(n=2))
    names = ("attribution", "end_score", "steps", "heatmap", "overlay", "photo", "map")
    found = tensors_of(names, result, IMAGES, Drawing(), half=False)
    assert [found[n].datatype for n in names] == ["FP32", "FP32", "INT32", "UINT8", "BYTES", "BYTES", "FP32"]
    assert np.isnan(found["end_score"].array).all()
    np.testing.assert_array_equal(found["heatmap"].array[1], np.asarray(heatmap(result.values[1])))
    assert found["map"].array.shape == (2, 6, 6) and (found["map"].array < 0).any()


def test_half(smooth):
    result = smooth.attribute(IMAGES)
    found = tensors_of(("attribution",), result, None, Drawing(), half=True)["attribution"]
    np.testing.assert_array_equal(found.array, result.values.astype(np.float16))


def test_the_size_that_a_file_claims():
    assert size_of(png(Image.new("L", (7, 9)))) == (7, 9)
    assert Image.open(io.BytesIO(png(Image.new("L", (7, 9))))).format == "PNG"
    with pytest.raises(InputError):
        size_of(b"nothing")
