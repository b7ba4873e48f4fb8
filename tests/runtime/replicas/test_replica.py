"""One process: asking one that has ended, and futures that are settled twice."""

from __future__ import annotations

import pytest

from fluxpath.errors import ArtifactError, ClosedError
from fluxpath.runtime.replicas.messages import Call, ReplicaError, Start, packed
from fluxpath.runtime.replicas.replica import Asked, Replica


def test_one_that_has_ended_is_not_asked(replicas):
    replica = replicas._replicas[0]
    replica.close()
    with pytest.raises(ReplicaError):
        replica.ask(Asked(1, str), Call(0, "warmup", packed({})))
    assert issubclass(ReplicaError, ClosedError) and not replica.alive


def test_a_future_ends_once():
    asked = Asked(1, str)
    asked.cancel()
    asked.end("late", None)
    assert asked.cancelled()
    done = Asked(1, str)
    done.end("first", None)
    done.end(None, ValueError())
    assert done.result() == "first"


def test_one_that_is_refused_is_never_asked(graph):
    replica = Replica(Start(str(graph("smooth")), {}), lambda lost: None)

    def refuse(ready):
        assert not replica.alive
        raise ArtifactError(ready.digest)

    try:
        with pytest.raises(ArtifactError, match=r"^[0-9a-f]{64}$"):
            replica.ready(refuse)
        assert not replica.alive
    finally:
        replica.close()
