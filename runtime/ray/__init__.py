"""Many machines, by Ray: `explain` for data sets, and `app`, a server of many replicas. Needs extra "ray"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fluxpath.runtime.ray.bulk import explain
    from fluxpath.runtime.ray.serving.application import app

__all__ = ["app", "explain"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: neither needs the packages of the other.
    if name == "explain":
        from fluxpath.runtime.ray.bulk import explain

        return explain
    if name == "app":
        from fluxpath.runtime.ray.serving.application import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
