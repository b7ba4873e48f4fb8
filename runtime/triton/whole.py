"""A whole method on Triton's ONNX Runtime backend: its configuration, from what the file itself says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.artifact import GradientFile
from fluxpath.companions import OPEN_SIZE
from fluxpath.errors import ArtifactError
from fluxpath.manifest import TARGET, Manifest
from fluxpath.runtime.serve.protocol.tensors import datatype_of
from fluxpath.runtime.triton.options import Options
from fluxpath.runtime.triton.signature import Value, signature_of

MODEL = "model.onnx"
"""The file's name in a version's folder, where the backend looks for it."""

WARM_UP = "warmup"
"""The folder, beside the versions, in which Triton looks for the data of a warm-up."""

_MAX_BATCH, _DELAY = 16, 1.0
"""Images at a time, and milliseconds to wait for them: a batch takes as long as its longest walk."""


def config_of(path: Path, file: GradientFile, options: Options) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The configuration of the intact file at `path`, without its name, and the data of its warm-up by name.

    Inputs that have a default are not in it: the backend cannot leave an input out that is. Where an input
    must be given that has no row for each image, as the noise of a model with open sizes, Triton cannot put
    requests together, and `max_batch_size` is 0. Raises ArtifactError.
    """
    inputs, outputs = signature_of(file.data, path)
    batch = next((i.shape[0] for i in inputs if i.name == file.manifest.input and i.shape), None)
    if batch is None or not all(value.shape for value in (*inputs, *outputs)):
        raise ArtifactError(f"the inputs of '{path}' are not those of its manifest: export the model again")
    batched = all(isinstance(v.shape[0], str) and v.shape[0] == batch for v in (*inputs, *outputs))
    config: dict[str, Any] = {
        "backend": "onnxruntime",
        "default_model_filename": MODEL,
        "max_batch_size": (options.max_batch or _MAX_BATCH) if batched else 0,
        "input": [_described(i, batched) for i in inputs],
        "output": [_described(o, batched) for o in outputs],
        "instance_group": options.group,
        "parameters": {k: {"string_value": v} for k, v in _about(file).items()},
    }
    if batched:
        delay = _DELAY if options.delay is None else options.delay
        config["dynamic_batching"] = {"max_queue_delay_microseconds": round(delay * 1e3)}
    data = {i.name: _example(i, file.manifest) for i in inputs}
    config["model_warmup"] = [_warm_up(data, batched)]
    return config, {_file_of(at): array.tobytes() for at, array in enumerate(data.values())}


def _described(value: Value, batched: bool) -> dict[str, Any]:
    """An input or output of the file, as Triton is told: without the batch, which it knows.

    A number for each image is [1] to a caller, as Triton wants, and nothing beside the batch to the file.
    """
    shape = [-1 if isinstance(d, str) else d for d in value.shape]
    told: dict[str, Any] = {"name": value.name, "data_type": _kind(value.dtype)}
    told["dims"] = (shape[1:] or [1]) if batched else shape
    if batched and len(shape) == 1:
        told["reshape"] = {"shape": []}
    return told


def _kind(dtype: str) -> str:
    return f"TYPE_{datatype_of(dtype)}"


def _about(file: GradientFile) -> dict[str, str]:
    """What a caller may want to know, as `fluxpath serve` tells it."""
    manifest = file.manifest
    return {
        "method": str(manifest.method),
        "settings": json.dumps(dict(manifest.settings or {})),
        "objective": manifest.objective,
        "classes": str(manifest.classes),
        "sha256": file.sha256,
        "range": json.dumps([manifest.low, manifest.high]),
        "class_names": json.dumps(manifest.class_names),
    }


def _example(value: Value, manifest: Manifest) -> npt.NDArray[Any]:
    """A row for the warm-up: a grey image, which is in the range, so that the method walks."""
    first, *rest = [OPEN_SIZE if isinstance(d, str) else d for d in value.shape]
    shape = [1 if isinstance(value.shape[0], str) else first, *rest]
    if value.name == TARGET:
        return np.full(shape, -1, value.dtype)
    if value.name == manifest.input:
        return np.full(shape, _grey(manifest), value.dtype)
    fills = {c.name: c.fill for c in manifest.companions}
    return np.full(shape, fills.get(value.name, 1), value.dtype)


def _grey(manifest: Manifest) -> float:
    low, high = manifest.low, manifest.high
    if low is None or high is None:
        return next((end for end in (low, high) if end is not None), 0.5)
    return (low + high) / 2


def _file_of(at: int) -> str:
    return f"input{at}"


def _warm_up(data: Mapping[str, npt.NDArray[Any]], batched: bool) -> dict[str, Any]:
    def dims(array: npt.NDArray[Any]) -> Sequence[int]:
        return (array.shape[1:] or (1,)) if batched else array.shape

    inputs = {
        name: {"data_type": _kind(str(array.dtype)), "dims": dims(array), "input_data_file": _file_of(at)}
        for at, (name, array) in enumerate(data.items())
    }
    return {"name": "one image", "batch_size": 1, "inputs": inputs}
