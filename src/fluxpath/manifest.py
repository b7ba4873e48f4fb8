"""The manifest inside every gradient graph.

This is the contract between `fluxpath.export`, which writes it, and `fluxpath.runtime`, which reads it;
both import this module and never each other. It needs only the standard library.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fluxpath.errors import ArtifactError, InputError
from fluxpath.preprocessing import Preprocessing, read, readable

FORMAT = 1
"""The version of the gradient graph's contract that this release writes and reads."""

KEY = "fluxpath"
"""The manifest is ONNX's `metadata_props[KEY]`; for TorchScript files see `archive.py`."""

TARGET, SCORE, LABEL, GRADIENT, SCALE = "target", "score", "label", "gradient", "scale"
"""The names of the input and the outputs that the gradient graph adds to the model's."""

COMPANION_DTYPES = ("float32", "float64", "int64", "int32", "bool")
"""The element types that a companion input can have."""

GRADIENT_DTYPES = ("float32", "float16", "bfloat16")
"""The element types that the output `gradient` can have."""

LARGEST_FLOAT32 = 3.4028234663852886e38

LONGEST = 2**25
"""The most characters of a manifest; DeepLIFT's baseline takes nearly all, up to six million values."""

MOST_VALUES, MOST_CLASSES = 2**31 - 1, 10**7
"""The most values of one input, and the most classes: what a file asks for is allocated."""

UNSEALED = "0" * 64
"""The placeholder for the digest while `seal.py` computes it."""


@dataclass(frozen=True)
class Companion:
    """A further input of the model, such as an attention mask: passed through, not explained.

    `dtype` is numpy's name of the element type; `shape` omits the batch and has None for a dynamic size.
    `fill` is the number, 1 or 0, that the model takes where nothing better is at hand.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    fill: int = 1


@dataclass(frozen=True)
class Weights:
    """The name of a second file, in the same folder, with the weights, and its SHA-256 in hexadecimal."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a gradient graph says of itself.

    `shape` is the input's without the batch, None for a dynamic size. `low` and `high` bound a valid
    input (None: unbounded). `mean` and `std` are the normalisation that the graph applies itself.
    `preprocessing` says how photos become inputs; None, as in files before it: `preprocessing.DEFAULT`.
    `rules` is "gradient" or "deeplift"; `baseline` is DeepLIFT's (see `baseline.py`), otherwise None.
    `gradient` is the element type of the output `gradient`; `score` and `scale` are float32.
    `error` is the worst relative error of the gradient against float64 at verification, and `verified` says
    of everything that was compared then how far it was apart. `companions` are the model's further inputs.
    `outputs` are the names of the file's outputs, in order. A TorchScript file takes input, target and
    companions by position and returns a dict with these keys; its `opset` is None.

    The file of a whole method, which `fluxpath.export.attribution_from_onnx` writes, has the manifest of the
    gradient graph inside it, with the `method`'s name, its `settings`, and the `error` of its attributions.
    """

    input: str
    shape: tuple[int | None, ...]
    classes: int
    objective: str
    opset: int | None
    source: str
    logits: str
    low: float | None = 0.0
    high: float | None = 1.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    preprocessing: Preprocessing | None = None
    class_names: tuple[str, ...] | None = None
    precision: str = "float32"
    gradient: str = "float32"
    rules: str = "gradient"
    baseline: str | None = None
    factored: bool = True
    error: float | None = None
    verified: Mapping[str, float] | None = None
    companions: tuple[Companion, ...] = ()
    weights: Weights | None = None
    outputs: tuple[str, ...] = ()
    method: str | None = None
    settings: Mapping[str, Any] | None = None
    format: int = FORMAT
    producer: str = "fluxpath"

    def to_json(self) -> str:
        """The JSON text that goes into the file, with a placeholder for the digest."""
        fields = asdict(self)
        if self.preprocessing is None:  # so that releases which do not know it read the file
            del fields["preprocessing"]
        text = json.dumps({**fields, "digest": UNSEALED}, ensure_ascii=True)
        if len(text) > LONGEST:
            raise ArtifactError(f"the manifest would have {len(text)} characters, and the most is {LONGEST}")
        return text

    @classmethod
    def from_json(cls, text: str, whole_method: bool | None = False) -> Manifest:
        """Parse and check a manifest; ArtifactError names the first field that is wrong.

        whole_method: True requires a whole method's manifest, False a gradient graph's, None accepts both.
        """
        if len(text) > LONGEST:
            raise ArtifactError(f"the manifest has {len(text)} characters, and the most is {LONGEST}")
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ArtifactError("the manifest is not JSON: export the model again") from error
        if not isinstance(fields, dict):
            raise ArtifactError("the manifest is not a JSON object: export the model again")
        version = fields.get("format")
        if version != FORMAT:
            raise ArtifactError(
                f"the file has gradient-graph format {version!r}, this release reads {FORMAT}: export again"
            )
        fields.pop("digest", None)
        fields.setdefault("preprocessing", None)
        for name, (accepts, wanted) in _FIELDS.items():
            if name not in fields or not accepts(fields[name]):
                raise ArtifactError(
                    f"the manifest's field '{name}' is {fields.get(name)!r:.100}, it must be {wanted}"
                )
        unknown = sorted(set(fields) - set(_FIELDS))
        if unknown:
            raise ArtifactError(f"the manifest has the unknown field '{unknown[0]}': export the model again")
        fields["companions"] = [
            Companion(c["name"], c["dtype"], tuple(c["shape"]), c.get("fill", 1))
            for c in fields["companions"]
        ]
        if fields["weights"] is not None:
            fields["weights"] = Weights(**fields["weights"])
        fields["preprocessing"] = read(fields["preprocessing"])
        checked: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        manifest = cls(**checked)
        manifest._check_kind(whole_method)
        manifest._check_fit()
        if (manifest.rules == "deeplift") != (manifest.baseline is not None):
            raise ArtifactError("the manifest's rules and baseline do not fit: export the model again")
        return manifest

    def _check_fit(self) -> None:
        """Raise ArtifactError unless the fields fit one another."""
        names = self.class_names
        inputs = [self.input, TARGET, *(c.name for c in self.companions)]
        for what, right in (
            ("low and high", self.low is None or self.high is None or self.low < self.high),
            ("classes and class_names", names is None or len(names) == self.classes),
            ("mean and std", (self.mean is None) == (self.std is None)),
            ("inputs' names", len(set(inputs)) == len(inputs)),
            ("outputs' names", len(set(self.outputs)) == len(self.outputs)),
            ("shape", all(_holds(s) for s in (self.shape, *(c.shape for c in self.companions)))),
        ):
            if not right:
                raise ArtifactError(f"the manifest's {what} do not fit: export the model again")
        if self.preprocessing is not None:
            try:
                self.preprocessing.check(self.shape)
            except InputError as error:
                raise ArtifactError(
                    f"the manifest's shape and preprocessing do not fit ({error}): export the model again"
                ) from error

    def _check_kind(self, whole_method: bool | None) -> None:
        if (self.method is None) != (self.settings is None):
            raise ArtifactError("the manifest has a method without settings, or settings without a method")
        if self.method is not None and whole_method is False:
            raise ArtifactError(
                f"the file is not a gradient graph but the whole method '{self.method}': run it directly "
                "with ONNX Runtime, or export the model without --method"
            )
        if self.method is None and whole_method is True:
            raise ArtifactError(
                "the file is a gradient graph, not a whole method: export the model with --method"
            )


def _text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _printable(value: Any) -> bool:
    return _text(value) and value.isprintable()


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _optional_count(value: Any) -> bool:
    return value is None or _count(value)


def _classes(value: Any) -> bool:
    return _count(value) and value <= MOST_CLASSES


def _holds(shape: tuple[int | None, ...]) -> bool:
    return math.prod(d or 1 for d in shape) <= MOST_VALUES


def _number(value: Any) -> bool:
    # Compared rather than converted: a JSON integer can be too large for a float.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_FLOAT32


def _optional_number(value: Any) -> bool:
    return value is None or _number(value)


def _numbers(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(_number, value)))


def _names(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(v, str) for v in value))


def _optional_text(value: Any) -> bool:
    return value is None or _text(value)


def _settings(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict) and all(v is None or isinstance(v, str | int | float) for v in value.values())
    )


def _figures(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(map(_number, value.values())))


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(v is None or _count(v) for v in value)


def _weights(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and set(value) == {"file", "sha256"}
        and _text(value["file"])
        and not set("/\\") & set(value["file"])
        and isinstance(value["sha256"], str)
    )


def _companions(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, dict)
        and {"name", "dtype", "shape"} <= set(v) <= {"name", "dtype", "shape", "fill"}
        and v.get("fill", 1) in (0, 1)
        and _text(v["name"])
        and v["dtype"] in COMPANION_DTYPES
        and _sizes(v["shape"])
        for v in value
    )


_FIELDS = {
    "input": (_text, "the input's name"),
    "shape": (_sizes, "a list of sizes"),
    "classes": (_classes, f"an integer from 1 to {MOST_CLASSES}"),
    "objective": (_printable, "an objective's name"),
    "opset": (_optional_count, "a positive integer or null"),
    "source": (_printable, "the source model's hash"),
    "logits": (_text, "a value's name"),
    "low": (_optional_number, "a number or null"),
    "high": (_optional_number, "a number or null"),
    "mean": (_numbers, "a list of numbers or null"),
    "std": (_numbers, "a list of numbers or null"),
    "preprocessing": (readable, "null, or resize, crop, interpolation and pad that fit one another"),
    "class_names": (_names, "a list of strings or null"),
    "precision": (lambda v: v in GRADIENT_DTYPES, f"one of {', '.join(GRADIENT_DTYPES)}"),
    "gradient": (lambda v: v in GRADIENT_DTYPES, f"one of {', '.join(GRADIENT_DTYPES)}"),
    "rules": (lambda v: v in ("gradient", "deeplift"), "gradient or deeplift"),
    "baseline": (_optional_text, "the baseline's values or null"),
    "factored": (lambda v: isinstance(v, bool), "true or false"),
    "error": (_optional_number, "a number or null"),
    "verified": (_figures, "an object of numbers, or null"),
    "weights": (_weights, "null, or a file name and its SHA-256"),
    "companions": (_companions, "a list of inputs with name, dtype and shape"),
    "outputs": (lambda v: v is not None and _names(v), "a list of names"),
    "method": (_optional_text, "a method's name or null"),
    "settings": (_settings, "an object of numbers and strings, or null"),
    "format": (_count, "a positive integer"),
    "producer": (_printable, "a name"),
}
