"""A request and its answer, as every transport reads and writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath import manifest as contract
from fluxpath.checks import need
from fluxpath.errors import InputError
from fluxpath.runtime.serve.protocol.parameters import fields_of
from fluxpath.runtime.serve.protocol.served import Served
from fluxpath.runtime.serve.protocol.tensors import Tensor
from fluxpath.runtime.serve.settings import Settings


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


class Given:
    """A request's inputs, sorted: the images, ready or as photos, and what belongs to them."""

    def __init__(self) -> None:
        self.count = 0
        self.ready: npt.NDArray[Any] | None = None
        self.photos: Any = []
        self.target: list[Any] | None = None
        self.companions: dict[str, npt.NDArray[Any]] = {}
        self.settings: dict[str, npt.NDArray[Any]] = {}


def sorted_inputs(served: Served, request: Inference, settings: Settings) -> Given:
    """Sort the tensors; InputError for one that nobody knows, or without images."""
    given, manifest = Given(), served.manifest
    companions = {c.name for c in manifest.companions}
    name = request.parameters.get("method", settings.method)
    replayed = "replay" in request.parameters
    fields = {} if replayed else fields_of(name)
    tensor = None
    for key, one in request.inputs.items():
        if key == manifest.input or (key == "image" and key not in companions):
            need(tensor is None, "there are two images: send one tensor of all")
            tensor = one
        elif key in companions:
            given.companions[key] = one.array
        elif key == contract.TARGET:
            given.target = _targets(one)
        else:
            need(replayed or key in fields, f"there is no input '{key:.60}', there are "
                 f"{', '.join([manifest.input, contract.TARGET, *companions])}")  # fmt: skip
            given.settings[key] = one.array
    if tensor is None:
        raise InputError(f"there is no image: send it as the input '{manifest.input}'")
    _sort_images(given, tensor, served.explainer.shape)
    if given.target is not None and len(given.target) == 1:
        given.target *= given.count
    return given


def _sort_images(given: Given, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tensor.datatype == "BYTES":
        given.photos = list(tensor.strings)
    elif tensor.datatype == "UINT8":
        given.photos = tensor.array if tensor.array.ndim == 4 else [tensor.array]
    else:
        need(tensor.datatype in ("FP16", "FP32", "FP64"),
             f"the image has datatype {tensor.datatype}, it must be FP32, UINT8 or BYTES")  # fmt: skip
        array = tensor.array
        given.ready = array[None] if array.shape == shape else array
        if given.ready.dtype == np.float16:
            given.ready = given.ready.astype(np.float32)
    given.count = len(given.photos) if given.ready is None else (len(given.ready) if given.ready.ndim else 0)


def _targets(tensor: Tensor) -> list[Any]:
    if tensor.datatype == "BYTES":
        assert isinstance(tensor.data, list)
        try:
            return [text.decode() for text in tensor.data]
        except UnicodeDecodeError as error:
            raise InputError("a target is no text: class names are UTF-8") from error
    need(tensor.array.dtype.kind in "iu" and tensor.array.size == math.prod(tensor.shape),
         f"target has datatype {tensor.datatype}, it must be INT64, or BYTES with class names")  # fmt: skip
    return [int(t) for t in tensor.array.reshape(-1)]
