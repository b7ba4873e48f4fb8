"""Pictures in the page are the pictures, in the smaller of two forms."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from fluxpath.runtime.evaluation.report.photos import data_uri


def read(uri):
    kind, _, data = uri.partition(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        return kind, np.asarray(picture).astype(int)


def test_pictures_come_back():
    plain = np.kron(np.arange(16, dtype=np.uint8).reshape(4, 4, 1) * 10, np.ones((20, 20, 3), np.uint8))
    kind, found = read(data_uri(Image.fromarray(plain)))
    assert kind == "data:image/png"
    np.testing.assert_array_equal(found, plain)
    x = np.linspace(0, 6, 200)
    smooth = np.sin(x)[:, None] * np.cos(x) * 100 + 128
    noisy = (smooth[..., None] + np.random.default_rng(0).normal(0, 3, (200, 200, 3))).astype(np.uint8)
    kind, found = read(data_uri(Image.fromarray(noisy)))
    assert kind == "data:image/jpeg" and np.abs(found - noisy).mean() < 5
