"""The manifest inside every gradient graph, and the seal that makes an altered file detectable.

This is the contract between `fluxpath.export`, which writes it, and `fluxpath.runtime`, which reads it;
both import this module and never each other. It needs the standard library only.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

from fluxpath.errors import ArtifactError

FORMAT = 1
"""The version of the gradient graph's contract that this release writes and reads."""

KEY = "fluxpath"
"""Where the manifest lies: ONNX `metadata_props[KEY]`."""

TARGET, SCORE, LABEL, GRADIENT, SCALE = "target", "score", "label", "gradient", "scale"
"""The names of the gradient graph's own input and outputs."""

COMPANION_DTYPES = ("float32", "float64", "int64", "int32", "bool")
"""The element types that a companion input may have."""

_UNSEALED = "0" * 64
_DIGEST = re.compile(rb'"digest": "([0-9a-f]{64})"')


@dataclass(frozen=True)
class Companion:
    """A further input of the model, an attention mask for one: passed through, not explained.

    `dtype` is numpy's name of its element type, `shape` without the batch, None for a dynamic size.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Manifest:
    """What a gradient graph says of itself.

    `shape` is the input's without the batch, None for a dynamic size. `low` and `high` bound a valid
    input (None: unbounded). `mean` and `std` are the normalisation that the graph applies itself.
    `error` is the worst relative error of the gradient against float64 at verification. `companions` are
    the model's further inputs.
    """

    input: str
    shape: tuple[int | None, ...]
    classes: int
    objective: str
    opset: int
    source: str
    logits: str
    low: float | None = 0.0
    high: float | None = 1.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    class_names: tuple[str, ...] | None = None
    precision: str = "float32"
    factored: bool = True
    error: float | None = None
    companions: tuple[Companion, ...] = ()
    format: int = FORMAT
    producer: str = "fluxpath"

    def to_json(self) -> str:
        """The text that goes into the file, with an empty seal."""
        return json.dumps({**asdict(self), "digest": _UNSEALED}, ensure_ascii=True)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Parse and check a manifest; ArtifactError names the first field that is wrong."""
        try:
            fields = json.loads(text)
        except ValueError as error:
            raise ArtifactError("the manifest is not JSON: export the model again") from error
        if not isinstance(fields, dict):
            raise ArtifactError("the manifest is not a JSON object: export the model again")
        version = fields.get("format")
        if version != FORMAT:
            raise ArtifactError(
                f"the file has gradient-graph format {version!r}, this release reads {FORMAT}: export again"
            )
        fields.pop("digest", None)
        for name, (accepts, wanted) in _FIELDS.items():
            if name not in fields or not accepts(fields[name]):
                raise ArtifactError(
                    f"the manifest's field '{name}' is {fields.get(name)!r}, it must be {wanted}"
                )
        unknown = sorted(set(fields) - set(_FIELDS))
        if unknown:
            raise ArtifactError(f"the manifest has the unknown field '{unknown[0]}': export the model again")
        fields["companions"] = [
            Companion(c["name"], c["dtype"], tuple(c["shape"])) for c in fields["companions"]
        ]
        checked: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return cls(**checked)


def _text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _optional_number(value: Any) -> bool:
    return value is None or _number(value)


def _numbers(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_number, value)))


def _names(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(v, str) for v in value))


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(v is None or _count(v) for v in value)


def _companions(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, dict)
        and set(v) == {"name", "dtype", "shape"}
        and _text(v["name"])
        and v["dtype"] in COMPANION_DTYPES
        and _sizes(v["shape"])
        for v in value
    )


_FIELDS = {
    "input": (_text, "the input's name"),
    "shape": (_sizes, "a list of sizes"),
    "classes": (_count, "a positive integer"),
    "objective": (_text, "an objective's name"),
    "opset": (_count, "a positive integer"),
    "source": (_text, "the source model's hash"),
    "logits": (_text, "a value's name"),
    "low": (_optional_number, "a number or null"),
    "high": (_optional_number, "a number or null"),
    "mean": (_numbers, "a list of numbers or null"),
    "std": (_numbers, "a list of numbers or null"),
    "class_names": (_names, "a list of strings or null"),
    "precision": (_text, "an element type's name"),
    "factored": (lambda v: isinstance(v, bool), "true or false"),
    "error": (_optional_number, "a number or null"),
    "companions": (_companions, "a list of inputs with name, dtype and shape"),
    "format": (_count, "a positive integer"),
    "producer": (_text, "a name"),
}


def seal(data: bytes) -> bytes:
    """Write into the manifest of a serialized gradient graph the SHA-256 of everything else in it."""
    start, end = _digest_span(data)
    blank = data[:start] + _UNSEALED.encode() + data[end:]
    return data[:start] + hashlib.sha256(blank).hexdigest().encode() + data[end:]


def check_seal(data: bytes) -> None:
    """ArtifactError unless `data` is, bit for bit, what `seal` returned.

    Runs before any parser sees the file, so a truncated or altered one can neither crash the process nor
    give a wrong attribution.
    """
    start, end = _digest_span(data)
    digest = hashlib.sha256(data[:start])
    digest.update(_UNSEALED.encode())
    digest.update(memoryview(data)[end:])
    if digest.hexdigest().encode() != data[start:end]:
        raise ArtifactError("the file is truncated or was altered after export: export the model again")


def _digest_span(data: bytes) -> tuple[int, int]:
    found = list(_DIGEST.finditer(data))
    if not found:
        raise ArtifactError(
            "the file is no intact gradient graph of fluxpath: write one with 'fluxpath export MODEL.onnx'"
        )
    if len(found) > 1:
        raise ArtifactError("the file holds more than one seal: export the model again")
    return found[0].span(1)
