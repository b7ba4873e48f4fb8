"""The default number of slots."""

from __future__ import annotations

import pytest

from fluxpath import slots as default
from fluxpath.slots import usual_slots


@pytest.mark.parametrize(
    ("place", "shape", "threads", "slots"),
    [
        ("cpu", (), 1, 32),
        ("cpu", (28, 28), 1, 32),
        ("cpu", (3, 32, 32), 1, 32),
        ("cpu", (3, 128, 128), 2, 24),
        ("cpu", (3, 224, 224), 1, 4),
        ("cpu", (3, 224, 224), 2, 8),
        ("cpu", (3, 224, 224), 64, 32),
        ("cpu", (3, 1024, 1024), 2, 4),
        ("cuda:0", (3, 224, 224), 2, 32),
        ("", (3, 224, 224), 2, 32),
    ],
)
def test_the_default_suits_the_inputs_size_and_the_threads(place, shape, threads, slots):
    assert usual_slots(place, shape, threads) == slots


def test_the_default_is_for_all_cores(monkeypatch):
    monkeypatch.setattr(default, "cores", lambda: 3)
    assert usual_slots("cpu", (3, 224, 224), None) == 12
