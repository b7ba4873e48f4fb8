"""Between the messages of gRPC and the requests and answers of the protocol."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2 as pb

from fluxpath.checks import need
from fluxpath.errors import InputError
from fluxpath.runtime.serve.protocol import tensors
from fluxpath.runtime.serve.protocol.inference import Answer, Inference
from fluxpath.runtime.serve.protocol.parameters import deadline_of
from fluxpath.runtime.serve.protocol.tensors import DTYPES, Tensor
from fluxpath.runtime.serve.settings import Settings

_CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip
"""The field of each datatype's values; FP16 comes as bytes alone."""


def inference(
    message: pb.ModelInferRequest, settings: Settings, arrived: float, remaining: float | None
) -> Inference:
    """The request in a message; `remaining`: seconds that the caller waits. InputError says what is wrong."""
    need(len(message.inputs) <= 64 and len(message.outputs) <= 64, "at most 64 inputs and outputs are read")
    parameters = _parameters(message.parameters)
    parameters.pop("binary_data_output", None)
    for output in message.outputs:
        asked = _parameters(output.parameters)
        need(not asked.get("classification"), "classification is not supported: ask for logits")
    return Inference(
        message.model_name,
        message.model_version,
        _inputs(message),
        deadline_of(parameters, settings, arrived, remaining),
        message.id[:256],
        parameters,
        tuple(o.name for o in message.outputs) or None,
    )


def _parameters(given: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in given.items():
        kind = value.WhichOneof("parameter_choice")
        need(kind is not None, f"parameter '{name:.60}' has no value")
        found[name] = getattr(value, kind)
    return found


def _inputs(message: pb.ModelInferRequest) -> dict[str, Tensor]:
    inputs: dict[str, Tensor] = {}
    raw = message.raw_input_contents
    need(not raw or len(raw) == len(message.inputs),
         f"there are {len(raw)} raw_input_contents, and must be one for each of the {len(message.inputs)} "
         "inputs")  # fmt: skip
    for index, one in enumerate(message.inputs):
        name, datatype, shape = tensors.checked_head(one.name, one.datatype, list(one.shape))
        need(name not in inputs, f"there are two inputs '{name:.60}'")
        if raw:
            need(not one.HasField("contents"), f"input '{name:.60}' has both contents and raw_input_contents")
            inputs[name] = tensors.from_raw(name, datatype, shape, raw[index])
        else:
            inputs[name] = _from_contents(name, datatype, shape, one.contents)
    return inputs


def _from_contents(name: str, datatype: str, shape: tuple[int, ...], contents: Any) -> Tensor:
    field = _CONTENTS.get(datatype)
    if field is None:
        raise InputError(f"input '{name:.60}' is {datatype}: send it in raw_input_contents")
    values = getattr(contents, field)
    count = math.prod(shape)
    need(len(values) == count,
         f"input '{name:.60}' has {len(values)} {field}, and its shape says {count}")  # fmt: skip
    if datatype == "BYTES":
        return Tensor(name, datatype, shape, list(values))
    with np.errstate(invalid="ignore"):  # a NaN that signals; images with NaN are refused later
        given = np.array(values, dtype={"f": np.float64, "b": np.bool_}.get(DTYPES[datatype].kind))
    return tensors.from_json(name, datatype, (count,), given).shaped(shape)


def response(answer: Answer) -> pb.ModelInferResponse:
    """The message of an answer."""
    message = pb.ModelInferResponse(model_name=answer.model, model_version=answer.version, id=answer.id)
    message.parameters["provenance"].string_param = json.dumps(answer.provenance)
    for tensor in answer.outputs:
        message.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        message.raw_output_contents.append(bytes(tensors.to_raw(tensor)))
    return message
