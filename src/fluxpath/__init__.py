"""fluxpath: a classifier and its input gradient in one model file, and attribution methods on that file.

`fluxpath.export` writes gradient graphs, `fluxpath.runtime` explains images with them, `fluxpath.kernels`
holds the compiled update. This module imports none of them, so a server loads only what it uses.
"""

from fluxpath.errors import (
    ArtifactError,
    ClosedError,
    DeadlineError,
    FluxpathError,
    InputError,
    ModelError,
    OutOfMemoryError,
    ProviderError,
    QueueFullError,
    UnsupportedOperatorError,
    VerificationError,
)

__version__ = "0.1.0"

__all__ = [
    "ArtifactError",
    "ClosedError",
    "DeadlineError",
    "FluxpathError",
    "InputError",
    "ModelError",
    "OutOfMemoryError",
    "ProviderError",
    "QueueFullError",
    "UnsupportedOperatorError",
    "VerificationError",
    "__version__",
]
