"""Prometheus' view of the server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from fluxpath.runtime.serve.protocol.errors import fault_of
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.protocol.statistics import Record

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_MODEL = ("model", "version")
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 20000)


class Metrics:
    """Counts what a service tells, in a registry of its own; labels are few: nothing that callers choose."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._registry = registry = CollectorRegistry()
        labels = ("model", "method")
        self._took = Histogram(
            "fluxpath_request_seconds", "From a request's checks to its answer", labels,
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._phase = Histogram(
            "fluxpath_phase_seconds", "Parts of a request: decode, queue, compute, encode",
            (*labels, "phase"), buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._steps = Histogram(
            "fluxpath_request_steps", "Steps of a request's lanes, summed", labels,
            buckets=_STEPS, registry=registry,
        )  # fmt: skip
        self._images = Counter("fluxpath_images", "Images answered", labels, registry=registry)
        self._errors = Counter(
            "fluxpath_rejections", "Requests that were refused or failed", ("reason",), registry=registry
        )
        self._cancelled = Counter("fluxpath_cancelled", "Requests whose callers went", registry=registry)
        registry.register(_Now(service))
        service.listeners.append(self._ended)
        service.on_error.append(self._refused)

    def text(self) -> bytes:
        """The answer of /metrics."""
        return generate_latest(self._registry)

    def _ended(self, record: Record) -> None:
        if record.reason == "cancelled":
            self._cancelled.inc()
        if record.reason is not None:
            return
        labels = (record.model, record.method)
        self._took.labels(*labels).observe(record.took)
        self._steps.labels(*labels).observe(record.steps)
        self._images.labels(*labels).inc(record.images)
        for phase, seconds in record.phases.items():
            self._phase.labels(*labels, phase).observe(seconds)

    def _refused(self, error: BaseException) -> None:
        self._errors.labels(fault_of(error).reason).inc()


class _Now:
    """What is so at the moment of the question."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """Queue, running requests, rate and slots of every model."""
        rows: dict[str, tuple[str, Any]] = {
            "fluxpath_queue_images": ("Images that wait or run", lambda s: s.gate.images),
            "fluxpath_queue_evaluations": ("Predicted evaluations of these", lambda s: s.gate.evaluations),
            "fluxpath_evaluations_per_second": ("Measured while there is work",
                                                lambda s: s.gate.rate.per_second or 0.0),
            "fluxpath_slots": ("Lanes that can run at a time", lambda s: s.explainer.slots),
        }  # fmt: skip
        for name, (text, value) in rows.items():
            family = GaugeMetricFamily(name, text, labels=_MODEL)
            for served in self._service.repository:
                family.add_metric([served.name, served.version], float(value(served)))
            yield family
        gradients = CounterMetricFamily("fluxpath_evaluations", "Gradients computed", labels=_MODEL)
        runs = CounterMetricFamily("fluxpath_runs", "Runs of the graph, each for many", labels=_MODEL)
        for served in self._service.repository:
            stats = served.explainer.stats()
            gradients.add_metric([served.name, served.version], stats.lanes)
            runs.add_metric([served.name, served.version], stats.evaluations)
        yield from (gradients, runs)
        running = GaugeMetricFamily("fluxpath_running_requests", "Accepted requests without an answer yet")
        running.add_metric([], self._service.running)
        yield running
