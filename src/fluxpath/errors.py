"""Every error that fluxpath raises on purpose; a message says what is wrong and what would be right."""

from __future__ import annotations


class FluxpathError(Exception):
    """The base class of all of fluxpath's errors."""


class ModelError(FluxpathError):
    """The model cannot be compiled: it is unreadable, not a classifier, or ambiguous."""


class UnsupportedOperatorError(ModelError):
    """An operator between the input and the objective has no derivative rule."""


class VerificationError(FluxpathError):
    """A gradient graph disagrees with the independent float64 gradient."""


class ArtifactError(FluxpathError):
    """A file is not an intact gradient graph: truncated, altered, foreign, or of another format version."""


class InputError(FluxpathError, ValueError):
    """The caller's images, targets or settings do not fit the gradient graph."""


class ProviderError(FluxpathError):
    """The requested device or execution provider is not available."""


class OutOfMemoryError(FluxpathError):
    """The backend ran out of memory for the number of slots."""


class QueueFullError(FluxpathError):
    """More images are waiting than the explainer accepts: try again later."""


class DeadlineError(FluxpathError, TimeoutError):
    """The attribution was not done by its deadline."""


class ClosedError(FluxpathError):
    """The explainer was closed before or while the request was waiting."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the name of its class if the message is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
