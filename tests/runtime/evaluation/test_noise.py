"""The random attribution: noise of its own for each image, always the same one."""

from __future__ import annotations

import numpy as np
import pytest
from evaluated import images

from fluxpath.errors import InputError
from fluxpath.runtime import Explainer
from fluxpath.runtime.evaluation.noise import Random


def test_noise_is_the_images_own(graph):
    with Explainer(graph("smooth"), threads=1, slots=3) as explainer:
        batch = images(5)
        found = explainer.attribute(batch, method=Random()).values
        alone = explainer.attribute(batch[3], method=Random()).values[0]
        other = explainer.attribute(batch, method=Random(seed=1)).values
    np.testing.assert_array_equal(found[3], alone)
    rows = np.concatenate([found, other]).reshape(10, -1)
    assert np.abs(np.corrcoef(rows) - np.eye(10)).max() < 0.7
    assert abs(rows.mean()) < 0.2 and 0.8 < rows.std() < 1.2


@pytest.mark.parametrize("seed", [-1, 1.5, 2**64])
def test_a_wrong_seed_is_refused(seed):
    with pytest.raises(InputError, match="seed is"):
        Random(seed=seed)
