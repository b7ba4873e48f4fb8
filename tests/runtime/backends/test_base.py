"""What every backend has from its base: lanes as its manifest describes them, and the memory in use."""

from __future__ import annotations

from dataclasses import replace
from mmap import PAGESIZE, mmap

import numpy as np
import pytest
from sessions import CLASSES, FEATURES, LinearSession

from fluxpath.baseline import pack_baseline
from fluxpath.runtime import GradientSession


def test_lanes_are_as_the_manifest_describes_them():
    session, baseline = LinearSession(), np.arange(FEATURES, dtype=np.float32)
    session.manifest = replace(session.manifest, low=-1.0, high=2.0, baseline=pack_baseline(baseline))
    lanes = session.make_lanes(3, (2, FEATURES // 2), {"mask": ((5,), "int64")})
    assert (lanes.slots, lanes.shape, lanes.features) == (3, (2, FEATURES // 2), FEATURES)
    assert (lanes.low, lanes.high, lanes.classes) == (-1.0, 2.0, CLASSES)
    assert lanes.output.shape == (3, CLASSES)
    assert (lanes.companions["mask"].shape, lanes.companions["mask"].dtype) == ((3, 5), np.int64)
    np.testing.assert_array_equal(lanes.baseline, baseline)


def test_memory_that_is_written_is_in_use():
    session = LinearSession()
    before = session.used()
    if not before:
        pytest.skip("the system does not tell")
    with mmap(-1, 2**26) as fresh:  # an array may lie in memory that the process has had before
        for page in range(0, len(fresh), PAGESIZE):
            fresh[page] = 1
        assert session.used() - before > len(fresh) // 2


def test_a_backend_has_to_bind_and_to_run():
    class Half(GradientSession):
        def bind(self, lanes): ...

    with pytest.raises(TypeError, match="run"):
        Half()
