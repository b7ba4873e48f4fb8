"""Everything that can be set about the server, with its default: the flags of `fluxpath serve` are these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fluxpath.checks import need, number, whole

MIB = 2**20


def _flag(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class Settings:
    """Settings of a server; each is a flag, and the text beside it is the flag's. Wrong ones: InputError."""

    host: str = _flag("127.0.0.1", "address to listen at; 0.0.0.0 is every network of this machine")
    port: int = _flag(8000, "port of REST and of the page; 0 takes a free one")
    grpc_port: int = _flag(8001, "port of gRPC; 0 takes a free one, -1 is off")
    device: str = _flag("cpu", "cpu, cuda, cuda:1 or auto")
    slots: int | None = _flag(
        None,
        "how many lanes of a model run at a time (default: 32, on the CPU 4 to 32 by input size and threads)",
    )
    threads: int | None = _flag(
        None, "threads of the backend (default: all cores, or of a replica its share)"
    )
    replicas: int = _flag(1, "processes of each model; work goes to the one with the least to do")
    method: str = _flag("mfaba-sharp", "the method of a request that names none")
    model_folder: str | None = _flag(None, "folder whose models may be loaded and unloaded by request")
    warmup: bool = _flag(False, "evaluate each model once before it is ready")

    max_body: int = _flag(64 * MIB, "largest body of a request, in bytes")
    max_json: int = _flag(16 * MIB, "most bytes of JSON in a body; tensors as bytes are not counted")
    max_bodies: int = _flag(512 * MIB, "most bytes of all bodies that are held at a time")
    body_timeout: float = _flag(
        30.0, "seconds within which a request's headers, and then its body, must come"
    )
    send_timeout: float = _flag(60.0, "seconds within which a caller must take what is sent next")
    max_connections: int = _flag(1000, "most connections, and most calls of gRPC, at a time")
    max_pixels: int = _flag(2**26, "most pixels of a photo, looked at before it is decoded")
    max_images: int = _flag(256, "most images of a request")
    max_size: int = _flag(2048, "longest side of a picture that is drawn")
    max_queue_images: int = _flag(1024, "most images that wait or run, for each model")
    max_queue_evaluations: int = _flag(
        200_000, "most predicted gradient evaluations that wait or run, per model"
    )
    deadline: float = _flag(60.0, "seconds for a request that gives no deadline")
    max_deadline: float = _flag(600.0, "most seconds that a request may ask for")
    workers: int = _flag(2, "threads that decode and draw")

    max_jobs: int = _flag(64, "most jobs that wait or run")
    job_deadline: float = _flag(3600.0, "seconds for a job")
    job_keep: float = _flag(3600.0, "seconds for which the result of a job is kept")
    job_bytes: int = _flag(256 * MIB, "most bytes of all kept results; the oldest go first")

    drain_delay: float = _flag(0.0, "seconds between readiness off, at SIGTERM, and taking no more work")
    drain_timeout: float = _flag(30.0, "seconds for accepted work to end after that")
    token: str | None = _flag(None, "token that requests must bear (better: the variable FLUXPATH_TOKEN)")
    open_metrics: bool = _flag(False, "answer /metrics without the token: scrapers often cannot bear one")
    tls_certificate: str | None = _flag(None, "PEM file of the certificate; with it, TLS alone is spoken")
    tls_key: str | None = _flag(None, "PEM file of the certificate's key")
    cors: str | None = _flag(None, "origin of web pages that may call the server (default: none)")
    page: bool = _flag(True, "serve the page at /")
    log_level: str = _flag("info", "debug, info, warning or error")

    def __post_init__(self) -> None:
        for name, least in (("port", 0), ("grpc_port", -1)):
            whole(name, getattr(self, name), least, 65535)
        whole("replicas", self.replicas, 1, 2**10)
        for name in [
            "max_body",
            "max_json",
            "max_bodies",
            "max_connections",
            "max_pixels",
            "max_images",
            "max_size",
            "max_queue_images",
            "max_queue_evaluations",
            "workers",
            "max_jobs",
            "job_bytes",
        ]:
            whole(name, getattr(self, name), 1, 2**40)
        if self.slots is not None:
            whole("slots", self.slots, 1, 2**40)
        for name in [
            "body_timeout",
            "send_timeout",
            "deadline",
            "max_deadline",
            "job_deadline",
            "job_keep",
            "drain_timeout",
        ]:
            number(name, getattr(self, name), 0.001, 1e7)
        number("drain_delay", self.drain_delay, 0, 1e5)
        need(self.log_level in ("debug", "info", "warning", "error"), f"log_level is {self.log_level!r}")
        need(
            (self.tls_certificate is None) == (self.tls_key is None),
            "tls_certificate and tls_key go together, and only one of them was given",
        )
        need(
            self.token is None or (self.token and self.token.isascii()), "the token must be ASCII, not empty"
        )
