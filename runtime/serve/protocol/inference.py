"""A request and its answer, as every transport reads and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fluxpath.runtime.serve.protocol.tensors import Tensor


@dataclass(frozen=True)
class Inference:
    """What a caller asks of a model.

    inputs: tensors by name. parameters: numbers, texts, truth values and lists of numbers by name.
    outputs: names of what to answer, None for the default. deadline: `time.monotonic()` by which the answer
    must be there.
    """

    model: str
    version: str
    inputs: Mapping[str, Tensor]
    deadline: float
    id: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Answer:
    """What a model answers; `provenance` says how it came about, and can be sent again to have it again."""

    model: str
    version: str
    id: str
    outputs: tuple[Tensor, ...]
    provenance: Mapping[str, Any]
