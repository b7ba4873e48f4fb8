"""What an error is to a caller: an HTTP status, the name of a gRPC status, a reason to count."""

from __future__ import annotations

from dataclasses import dataclass

from fluxpath.errors import (
    ArtifactError,
    ClosedError,
    DeadlineError,
    FluxpathError,
    InputError,
    OutOfMemoryError,
    QueueFullError,
)


class NotFoundError(FluxpathError):
    """There is no such model, version, job or address."""


class ForbiddenError(FluxpathError):
    """The server was started without what the request asks for, or the caller may not ask for it."""


class UnauthorizedError(FluxpathError):
    """The request has no token, or not the server's."""


class TooLargeError(FluxpathError):
    """The request is larger than the server accepts."""


class SlowError(FluxpathError):
    """The body of the request did not arrive in time."""


class UnsupportedError(FluxpathError):
    """The request's encoding, or what it wants to have back, is none that the server has."""


class BusyError(QueueFullError):
    """There is no room now; `retry_after` is in how many seconds there should be."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DrainingError(ClosedError):
    """The server is stopping, and takes no new work."""


@dataclass(frozen=True)
class Fault:
    """How an error is told: an HTTP status, the name of a gRPC status, and the reason that is counted."""

    http: int
    grpc: str
    reason: str


_INTERNAL = Fault(500, "INTERNAL", "internal")
_FAULTS: dict[type[BaseException], Fault] = {
    InputError: Fault(400, "INVALID_ARGUMENT", "input"),
    ArtifactError: Fault(400, "INVALID_ARGUMENT", "artifact"),
    UnauthorizedError: Fault(401, "UNAUTHENTICATED", "token"),
    ForbiddenError: Fault(403, "PERMISSION_DENIED", "forbidden"),
    NotFoundError: Fault(404, "NOT_FOUND", "not_found"),
    UnsupportedError: Fault(415, "UNIMPLEMENTED", "encoding"),
    SlowError: Fault(408, "DEADLINE_EXCEEDED", "slow_body"),
    TooLargeError: Fault(413, "RESOURCE_EXHAUSTED", "too_large"),
    QueueFullError: Fault(429, "RESOURCE_EXHAUSTED", "busy"),
    OutOfMemoryError: Fault(503, "RESOURCE_EXHAUSTED", "memory"),
    ClosedError: Fault(503, "UNAVAILABLE", "closed"),
    DeadlineError: Fault(504, "DEADLINE_EXCEEDED", "deadline"),
}


def fault_of(error: BaseException) -> Fault:
    """How the error is told; what is not listed is the server's own fault."""
    return next((_FAULTS[kind] for kind in type(error).__mro__ if kind in _FAULTS), _INTERNAL)


def sentence_of(error: BaseException) -> str:
    """The sentence for the caller; of an unexpected error, nothing that it says of the server's inside."""
    if isinstance(error, FluxpathError):
        return str(error)
    return "the server failed at this request; its log says how, by the request's id"


def retry_after(error: BaseException) -> int | None:
    """Whole seconds after which the request may be sent again; None where that would not help."""
    if isinstance(error, BusyError):
        return max(1, min(3600, round(error.retry_after + 0.5)))
    return 1 if fault_of(error).http in (429, 503) else None
