"""What Prometheus is told."""

from __future__ import annotations

import urllib.request

import models
import pytest
import tritonclient.http
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.utils import InferenceServerException


def scraped(server):
    with urllib.request.urlopen(f"http://{server.http}/metrics") as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        families = text_string_to_metric_families(answer.read().decode())
        return {(s.name, *sorted(s.labels.items())): s.value for f in families for s in f.samples}


def test_requests_phases_and_rejections_are_counted(server):
    labels = (("method", "saliency"), ("model", "smooth"))
    before = scraped(server)
    images = models.images("smooth", 3)
    with tritonclient.http.InferenceServerClient(server.http) as client:
        tensor = tritonclient.http.InferInput("image", list(images.shape), "FP32")
        tensor.set_data_from_numpy(images)
        client.infer("smooth", [tensor], parameters={"method": "saliency"})
        with pytest.raises(InferenceServerException):
            client.infer("smooth", [tensor], parameters={"method": "x"})
    after = scraped(server)

    def grown(name, *labels):
        return after[name, *labels] - before.get((name, *labels), 0)

    assert grown("fluxpath_images_total", *labels) == 3
    assert grown("fluxpath_request_seconds_count", *labels) == 1
    for phase in ("decode", "queue", "compute", "encode"):
        assert grown("fluxpath_phase_seconds_count", *labels, ("phase", phase)) == 1
    assert grown("fluxpath_rejections_total", ("reason", "input")) == 1
    assert after["fluxpath_slots", ("model", "smooth"), ("version", "1")] == 32
    assert after["fluxpath_queue_images", ("model", "smooth"), ("version", "1")] == 0
    assert after["fluxpath_evaluations_per_second", ("model", "smooth"), ("version", "1")] > 0
