"""DeepLIFT's step from the baseline; the multipliers of a file are tests/export's to show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sessions import FEATURES, BrokenSession, LinearSession, explain, some_images

from fluxpath.baseline import pack_baseline
from fluxpath.errors import InputError
from fluxpath.runtime import DeepLIFT, Status


def ruled(session, baseline):
    """As if the session's gradients were multipliers relative to `baseline`."""
    session.manifest = replace(session.manifest, rules="deeplift", baseline=pack_baseline(baseline))
    return session


def test_multipliers_are_taken_times_the_way_from_the_baseline():
    images, baseline = some_images(3), np.linspace(-1, 1, FEATURES, dtype=np.float32)
    session = ruled(LinearSession(), baseline)
    result = explain(session, images, DeepLIFT(), slots=2)
    wanted = [session.evaluate(x)[2] * (x - baseline) for x in images.astype(np.float64)]
    np.testing.assert_allclose(result.values, wanted, rtol=1e-5)
    assert result.steps.tolist() == [1] * 3 and result.status.tolist() == [Status.COMPLETE] * 3


def test_multipliers_that_are_not_finite_are_a_status_and_zeros():
    session = ruled(BrokenSession(np.nan), np.zeros(FEATURES, np.float32))
    result = explain(session, some_images(2), DeepLIFT())
    assert result.status.tolist() == [Status.NON_FINITE] * 2 and not result.values.any()


def test_gradients_are_no_multipliers():
    with pytest.raises(InputError, match="DeepLIFT needs a file exported with rules 'deeplift'"):
        explain(LinearSession(), some_images(1), DeepLIFT())
