"""Many machines, by Ray: `explain` writes the attributions of a data set. It needs the extra "ray"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fluxpath.runtime.ray.bulk import explain

__all__ = ["explain"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: Ray takes a second to import.
    if name == "explain":
        from fluxpath.runtime.ray.bulk import explain

        return explain
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
