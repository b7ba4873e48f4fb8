"""Counts as Triton has them."""

from __future__ import annotations

from google.protobuf.json_format import ParseDict
from tritonclient.grpc import service_pb2 as pb

from fluxpath.runtime.serve.protocol.statistics import Record, Statistics


def test_answers_and_failures():
    counts = Statistics()
    counts.add(Record("m", images=3, took=2.0, phases={"decode": 0.5, "compute": 1.0}))
    counts.add(Record("m", images=9, took=1.0, reason="input"))
    told = counts.told("m", "1")
    assert (told["inference_count"], told["execution_count"]) == (3, 1)
    stats = told["inference_stats"]
    assert stats["success"] == {"count": 1, "ns": 2_000_000_000} and stats["fail"]["count"] == 1
    assert stats["compute_input"]["ns"] == 500_000_000 and stats["queue"] == {"count": 1, "ns": 0}
    ParseDict({"model_stats": [told]}, pb.ModelStatisticsResponse())


def test_phases_add_up():
    record = Record("m")
    for _ in range(2):
        with record.phase("decode"):
            pass
    assert record.phases["decode"] > 0
