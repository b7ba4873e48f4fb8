"""One file of all attributions."""

from __future__ import annotations

import numpy as np
import pytest
from sinks import FILES, ITEMS, N, read

from fluxpath.runtime import NeFLAG


@pytest.mark.parametrize("name", FILES)
def test_several_end_points_have_no_end_score(explainer, tmp_path, name):
    explainer.attribute_many(ITEMS, tmp_path / name, method=NeFLAG(n=2))
    if name != "out.npy":
        ends = read(tmp_path / name)["end_score"]
        assert all(e is None or np.isnan(e) for e in ends)
    assert explainer.attribute_many(ITEMS, tmp_path / name, method=NeFLAG(n=2)).skipped == N
