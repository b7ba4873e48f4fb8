"""Attributions of lanes on a device compared with those on the host."""

from __future__ import annotations

import numpy as np

from fluxpath.runtime import MFABA, Explainer, NeFLAG

METHODS = [
    MFABA(),
    MFABA(ascent="smooth", path="norm", step_size=0.02),
    MFABA(path="cosine"),
    MFABA(step_size=0.03, accumulate=True),
    NeFLAG(n=3, max_steps=4),
    MFABA(step_size=0.1),
    NeFLAG(n=3, radius=0.1, max_steps=4),
]


def compare(given, expected):
    """Equal but for the last digits of float32."""
    for name in ("target", "label", "steps", "status"):
        np.testing.assert_array_equal(getattr(given, name), getattr(expected, name), err_msg=name)
    np.testing.assert_allclose(given.score, expected.score, rtol=1e-5)
    np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)


def compare_with_host(session, path, images, slots):
    """Several requests of different sizes on the session, and on the CPU."""
    with Explainer.from_session(session, slots=slots) as there, Explainer(path, threads=1) as here:
        for method in (MFABA(), NeFLAG(n=3, max_steps=4)):
            for n in (len(images), 5, 4, 5):
                given, expected = (e.attribute(images[:n], method=method) for e in (there, here))
                compare(given, expected)
