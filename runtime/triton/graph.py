"""A gradient graph on Triton's Python backend: its configuration, and what its inputs mean."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from fluxpath import manifest as contract
from fluxpath.methods import NAMES
from fluxpath.runtime.serve.protocol.parameters import fields_of
from fluxpath.runtime.serve.protocol.served import Described
from fluxpath.runtime.triton.options import Options

FILE = "model.grad.onnx"
"""The file's name in a version's folder."""

PROVENANCE = "provenance"
"""An output of its own: Triton's response parameters are too new."""

MODEL = '''"""Explanations by fluxpath, which must be installed where Triton's Python backend runs."""

from fluxpath.runtime.triton.backend import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''
"""The file model.py, which the backend imports."""

_IMAGES = {"photo": ("BYTES", [-1]), "levels": ("UINT8", [-1, -1, -1, -1])}
"""Images in other datatypes: Triton's inputs have one each."""

_TARGET_NAME = "target_name"


def config_of(model: Described, options: Options) -> dict[str, Any]:
    """The configuration of a model, without its name.

    Its first dimension is the batch, and `max_batch_size` is 0: requests are put together by the engine, in
    which they share evaluations from wherever they are, and not before it by Triton, which would ask that all
    inputs have a row for each image, also settings, and that everybody waits for the longest walk.
    """
    config = model.config()
    outputs = {**model.outputs, PROVENANCE: ("BYTES", [-1])}
    return {
        "backend": "python",
        "default_model_filename": "model.py",
        "max_batch_size": 0,
        "input": [{**_described(name, *row), "optional": True} for name, row in inputs_of(model).items()],
        "output": [_described(name, *row) for name, row in outputs.items()],
        "instance_group": options.group,
        "model_transaction_policy": {"decoupled": False},
        "parameters": config["parameters"],
    }


def inputs_of(model: Described) -> dict[str, tuple[str, list[int]]]:
    """Datatype and shape of each input; the model's own names go before what they would hide."""
    own = {i["name"]: (i["datatype"], i["shape"]) for i in model.inputs()}
    return {**own, **{name: row for name, row in _others(model).items() if name not in own}}


def meaning_of(name: str, model: Described) -> str:
    """The protocol's name of an input: of images and of targets in any datatype."""
    if name in {i["name"] for i in model.inputs()}:
        return name
    if name in _IMAGES:
        return model.manifest.input
    return contract.TARGET if name == _TARGET_NAME else name


def _others(model: Described) -> dict[str, tuple[str, list[int]]]:
    """Photos, names of classes, and settings of methods that are arrays."""
    shape = model.shape
    found: dict[str, tuple[str, list[int]]] = dict(_IMAGES) if len(shape) == 3 else {}
    if model.manifest.class_names is not None:
        found[_TARGET_NAME] = ("BYTES", [-1])
    for method in NAMES:
        for name, parameter in fields_of(method).items():
            if (rank := _rank(parameter, len(shape))) is not None:
                found[name] = ("FP32", [-1] * rank)
    return found


def _rank(parameter: inspect.Parameter, image: int) -> int | None:
    """Dimensions of a setting that is an array: an image, images, or a list of numbers; None for others."""
    kinds = str(parameter.annotation)
    if "Array" not in kinds:
        return None
    if "Sequence" in kinds or parameter.default is None:
        return 1
    return image if kinds.startswith("float") else image + 1


def _described(name: str, datatype: str, shape: list[int]) -> Mapping[str, Any]:
    kind = "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"
    return {"name": name, "data_type": kind, "dims": shape}
