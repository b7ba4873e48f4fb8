"""The bits of float16 and bfloat16."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fluxpath.runtime.device.half import narrowed, widened


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_rounding_is_torchs(name):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, 20_000, np.uint32).view(np.float32)
    halfway = ((rng.integers(0, 2**15, 1000, np.uint32) << 16) + 0x8000).view(np.float32)
    given = np.concatenate(
        [bits, halfway, np.float32([0, -0.0, np.inf, -np.inf, np.nan, 65520, 3.4e38, 1e-45])]
    )
    expected = torch.from_numpy(given).to(getattr(torch, name)).float().numpy()
    np.testing.assert_array_equal(widened(narrowed(given, name), name), expected)
    assert narrowed(-0.0, name) == 0x8000
