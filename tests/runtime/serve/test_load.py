"""A short run of benchmarks/soak.py: many callers, all that goes wrong, and SIGTERM at the end."""

from __future__ import annotations

import asyncio

from benchmarks.soak import soak


def test_every_request_is_answered_once_and_nothing_is_left(graph, capsys):
    found = asyncio.run(soak(graph("smooth"), 500, callers=12))
    with capsys.disabled():
        print(f" {found['counts']}")
    counts = found["counts"]
    assert sum(counts.values()) == found["requests"]
    assert not [name for name in counts if "WRONG" in name or ": 500" in name or "internal" in name]
    assert min(counts[f"{kind}: right"] for kind in ("rest", "grpc", "json")) > 10
    assert found["images still counted"] == 0 and found["descriptors more"] <= 2
    assert found["exit code"] == 0 and "Traceback" not in found["log"]
