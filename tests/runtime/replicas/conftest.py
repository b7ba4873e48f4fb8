"""Two processes of a small model."""

from __future__ import annotations

import pytest

from fluxpath.runtime.replicas import Replicas


@pytest.fixture
def replicas(graph):
    with_two = Replicas(graph("smooth"), 2, threads=1)
    yield with_two
    with_two.close()
    assert all(replica.process.poll() is not None for replica in with_two._replicas)
