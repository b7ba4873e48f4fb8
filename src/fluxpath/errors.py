"""Every error that fluxpath raises on purpose: one sentence, what is wrong and what would be right."""

from __future__ import annotations


class FluxpathError(Exception):
    """Base of all of fluxpath's errors."""


class ModelError(FluxpathError):
    """The model to export is not one that can be compiled: unreadable, no classifier, ambiguous."""


class UnsupportedOperatorError(ModelError):
    """An operator on the way from the objective to the input has no derivative rule."""


class VerificationError(FluxpathError):
    """A gradient graph disagrees with the independent float64 gradient."""


class ArtifactError(FluxpathError):
    """A file is not an intact gradient graph: truncated, altered, foreign, or of another format version."""


class InputError(FluxpathError, ValueError):
    """The caller's images, targets or settings are not what the gradient graph takes."""


class ProviderError(FluxpathError):
    """The requested device or execution provider is not available."""


class OutOfMemoryError(FluxpathError):
    """The backend has no memory for so many slots."""


class QueueFullError(FluxpathError):
    """More images are waiting than the explainer takes: try again later."""


class DeadlineError(FluxpathError, TimeoutError):
    """The attribution was not done by its deadline."""


class ClosedError(FluxpathError):
    """The explainer was closed before or while the request was waiting."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the name of its class where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
