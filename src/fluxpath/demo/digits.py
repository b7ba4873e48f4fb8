"""scikit-learn's bundled 8x8 handwritten digits, with one split for training and for the demo."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from fluxpath.errors import FluxpathError

Digits: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]


def test_digits() -> Digits:
    """Images that the model never saw, float32 [n, 1, 8, 8] in [0, 1], and their labels, int64 [n]."""
    images, labels, held_out = _all_digits()
    return images[held_out], labels[held_out]


# pytest collects every name test_*, even one that a test module only imports.
test_digits.__test__ = False  # type: ignore[attr-defined]


def training_digits() -> Digits:
    """Images that the model was trained on, and their labels, in the same form as test_digits()."""
    images, labels, held_out = _all_digits()
    return images[~held_out], labels[~held_out]


def _all_digits() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise FluxpathError('The demo\'s digits need scikit-learn: pip install "fluxpath[demo]".') from error
    data = load_digits()
    images = (data.images[:, None] / 16).astype(np.float32)
    labels = data.target.astype(np.int64)
    return images, labels, np.arange(len(labels)) % 4 == 3
