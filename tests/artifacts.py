"""Gradient graphs with an altered inside and a good seal, as an attacker or a future release writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from fluxpath import manifest as contract
from fluxpath.seal import seal

UNSEALED = "0" * 64


def fields_of(proto: onnx.ModelProto) -> dict[str, Any]:
    """The manifest in a gradient graph, as JSON."""
    fields = json.loads(next(e.value for e in proto.metadata_props if e.key == contract.KEY))
    return {**fields, "digest": UNSEALED}


def resealed(proto: onnx.ModelProto, manifest: str) -> bytes:
    """The graph with this text as its manifest."""
    del proto.metadata_props[:]
    entry = proto.metadata_props.add()
    entry.key, entry.value = contract.KEY, manifest
    return seal(proto.SerializeToString(deterministic=True))


def with_fields(path: Path, **changes: Any) -> bytes:
    """The gradient graph in `path` with these fields of its manifest changed; ... leaves a field out."""
    proto = onnx.load(path)
    fields = {**fields_of(proto), **changes}
    return resealed(proto, json.dumps({k: v for k, v in fields.items() if v is not ...}))


def with_graph(path: Path, change: Callable[[onnx.GraphProto], None]) -> bytes:
    """The gradient graph in `path` after `change` of its graph, its manifest as it was."""
    proto = onnx.load(path)
    manifest = json.dumps(fields_of(proto))
    change(proto.graph)
    return resealed(proto, manifest)
