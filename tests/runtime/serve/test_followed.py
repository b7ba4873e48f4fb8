"""The scores along a walk."""

from __future__ import annotations

import models
import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

IMAGES = models.images("smooth", 5)


@pytest.mark.parametrize("method", ["mfaba-sharp", "guided-ig", "neflag"])
def test_the_scores_along_a_walk(ask, smooth, method):
    walk, values = ask("walk", "attribution", images=IMAGES[:1], method=method)
    np.testing.assert_array_equal(walk, smooth.walk(IMAGES[0], method=method).scores)
    np.testing.assert_array_equal(values, smooth.attribute(IMAGES[:1], method=method).values)
    with pytest.raises(InferenceServerException, match="for one image"):
        ask("walk", method=method)
