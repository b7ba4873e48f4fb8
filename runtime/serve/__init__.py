"""A server for explanations: the Open Inference Protocol over REST and gRPC, and a page for people.

`fluxpath serve` runs it; `create_app` gives it as an ASGI application. It needs the extra "serve".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fluxpath.runtime.serve.settings import Settings

if TYPE_CHECKING:
    from fluxpath.runtime.serve.app import create_app

__all__ = ["Settings", "create_app"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for, so that the settings can be read without the packages of the extra.
    if name == "create_app":
        from fluxpath.runtime.serve.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
