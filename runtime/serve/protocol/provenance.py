"""How an answer came about, in JSON: what is needed to have it again.

Bit for bit where the backend rounds alike at other batch sizes; with one slot, whatever it does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import fluxpath
from fluxpath.arrays import FixedArray
from fluxpath.checks import need

if TYPE_CHECKING:
    from fluxpath.runtime.serve.protocol.parameters import Wanted
    from fluxpath.runtime.serve.protocol.served import Served

_FEW = 64
"""Arrays of up to so many values are told; of others, a hash, and who replays sends them again."""


def provenance_of(served: Served, wanted: Wanted, target: object) -> dict[str, Any]:
    """Model, versions, method with all settings, seed, and the target that was asked for (None: predicted).

    The input is not in it: whoever replays sends it again.
    """
    settings = {
        f.name: _told(getattr(wanted.method, f.name))
        for f in dataclasses.fields(wanted.method)  # type: ignore[arg-type]
    }
    return {
        "fluxpath": fluxpath.__version__,
        "onnxruntime": _version("onnxruntime"),
        "model": served.name,
        "version": served.version,
        "sha256": served.digest,
        "device": served.device,
        "method": wanted.name,
        "settings": settings,
        "seed": settings.get("seed"),
        "target": target,
        "top": wanted.top,
    }


def settings_in(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a provenance tells; arrays whose hash alone it has must come with the request."""
    return {k: v for k, v in provenance["settings"].items() if not isinstance(v, dict)}


def check_replay(sent: Mapping[str, Any], made: Mapping[str, Any]) -> None:
    """InputError unless what would be computed now is what the provenance tells."""
    for name in ("sha256", "fluxpath", "method", "settings", "target", "top"):
        need(
            sent.get(name) == made[name],
            f"the answer cannot be replayed: its {name} was {sent.get(name)!r:.80}, and now is "
            f"{made[name]!r:.80}",
        )


def _told(value: Any) -> Any:
    if isinstance(value, FixedArray):
        if value.array.size <= _FEW:
            return value.array.tolist()
        return {"shape": list(value.array.shape), "sha256": repr(value)}
    return list(value) if isinstance(value, tuple) else value


@cache  # it reads and parses files
def _version(package: str) -> str | None:
    for name in (package, f"{package}-gpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None
