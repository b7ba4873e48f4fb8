"""The protocol's JSON, and its extension by which tensors follow the JSON as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fluxpath.checks import need
from fluxpath.errors import InputError
from fluxpath.runtime.serve.protocol import tensors
from fluxpath.runtime.serve.protocol.inference import Answer
from fluxpath.runtime.serve.protocol.tensors import Tensor

LENGTH = "Inference-Header-Content-Length"
RAW = "raw"
"""The name of the only input of a body that is that input's bytes."""
_MOST_TENSORS = 64


@dataclass(frozen=True)
class Framed:
    """A request's body, read. binary: whether an output is answered as bytes, by name; `rest`: the others."""

    inputs: Mapping[str, Tensor]
    parameters: dict[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] | None = None
    id: str = ""
    binary: Mapping[str, bool] = field(default_factory=dict)
    rest: bool = False

    def is_binary(self, name: str) -> bool:
        """Whether the output is answered as bytes behind the JSON."""
        return self.binary.get(name, self.rest)


def document(data: bytes | memoryview, most: int) -> dict[str, Any]:
    """A JSON object; InputError if it is none, or has more bytes than `most`."""
    need(
        len(data) <= most,
        f"the JSON has {len(data)} bytes, and at most {most} are read: send tensors as bytes",
    )
    try:
        found = json.loads(bytes(data), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the request is not JSON: {error}" if str(error) else "the request is not JSON"
        ) from error
    need(isinstance(found, dict), "the request is JSON, and must be an object")
    return dict(found)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def read(data: bytes, length: str | None, most_json: int) -> Framed:
    """Read the body of a request; `length`: the header LENGTH. InputError says what is wrong.

    A length of 0 means that all of the body is the model's only input: it is returned as BYTES called RAW.
    """
    end = len(data)
    if length is not None:
        need(length.isascii() and length.isdigit() and len(length) < 12,
             f"the header {LENGTH} is {length!r:.40}, it must be a number of bytes")  # fmt: skip
        end = int(length)
        need(end <= len(data), f"the header {LENGTH} is {end}, and the body has {len(data)} bytes")
    if length is not None and end == 0:
        return Framed({RAW: Tensor(RAW, "BYTES", (1,), [data])}, rest=True)
    view = memoryview(data)
    found = document(view[:end], most_json)
    parameters = _object(found, "parameters", "the request")
    rest = parameters.pop("binary_data_output", False)
    need(isinstance(rest, bool), "binary_data_output must be true or false")
    name = found.get("id", "")
    need(
        isinstance(name, str) and len(name) <= 256, "the request's id must be a text of up to 256 characters"
    )
    outputs, binary = _outputs(found)
    return Framed(_inputs(found, view[end:]), parameters, outputs, name, binary, rest)


def _inputs(found: Mapping[str, Any], rest: memoryview) -> dict[str, Tensor]:
    listed = found.get("inputs")
    if not isinstance(listed, list) or not all(isinstance(i, dict) for i in listed):
        raise InputError("the request has no list 'inputs'")
    need(
        len(listed) <= _MOST_TENSORS, f"{len(listed)} inputs were sent, and at most {_MOST_TENSORS} are read"
    )
    inputs: dict[str, Tensor] = {}
    at = 0
    for one in listed:
        name, datatype, shape = tensors.checked_head(one.get("name"), one.get("datatype"), one.get("shape"))
        need(name not in inputs, f"there are two inputs '{name:.60}'")
        size = _object(one, "parameters", f"input '{name:.60}'").get("binary_data_size")
        if size is None:
            need("data" in one, f"input '{name:.60}' has neither data nor binary_data_size")
            inputs[name] = tensors.from_json(name, datatype, shape, one["data"])
            continue
        need("data" not in one, f"input '{name:.60}' has both data and binary_data_size")
        need(type(size) is int and 0 <= size <= len(rest) - at,
             f"input '{name:.60}' has a binary_data_size of {size!r:.40}, and {len(rest) - at} bytes are "
             "left")  # fmt: skip
        inputs[name] = tensors.from_raw(name, datatype, shape, rest[at : at + size])
        at += size
    need(at == len(rest), f"{len(rest) - at} bytes behind the JSON belong to no input")
    return inputs


def _outputs(found: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, dict[str, bool]]:
    listed = found.get("outputs")
    if listed is None or listed == []:
        return None, {}
    named = isinstance(listed, list) and all(
        isinstance(o, dict) and isinstance(o.get("name"), str) for o in listed
    )
    need(named, "'outputs' must be a list of objects with a name")
    need(
        len(listed) <= _MOST_TENSORS,
        f"{len(listed)} outputs are asked for, and at most {_MOST_TENSORS} are given",
    )
    binary = {}
    for one in listed:
        settings = _object(one, "parameters", f"output '{one['name']:.60}'")
        need(not settings.get("classification"), "classification is not supported: ask for logits")
        if "binary_data" in settings:
            need(isinstance(settings["binary_data"], bool), "binary_data must be true or false")
            binary[one["name"]] = settings["binary_data"]
    return tuple(o["name"] for o in listed), binary


def _object(found: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    value = found.get(name)
    need(value is None or isinstance(value, dict), f"{name} of {where} must be an object")
    return dict(value or {})


def write(answer: Answer, framed: Framed) -> tuple[list[bytes | memoryview], dict[str, str]]:
    """The parts of an answer's body, and its headers."""
    entries, behind = [], []
    for tensor in answer.outputs:
        head = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
        if framed.is_binary(tensor.name):
            raw = tensors.to_raw(tensor)
            behind.append(raw)
            entries.append(json.dumps({**head, "parameters": {"binary_data_size": len(raw)}}))
        else:
            entries.append(f'{json.dumps(head)[:-1]}, "data": {tensors.to_json(tensor)}}}')
    about = {
        "model_name": answer.model,
        "model_version": answer.version,
        "id": answer.id,
        "parameters": {"provenance": json.dumps(answer.provenance)},
    }
    text = f'{json.dumps(about)[:-1]}, "outputs": [{", ".join(entries)}]}}'.encode()
    if not behind:
        return [text], {"content-type": "application/json"}
    return [text, *behind], {"content-type": "application/octet-stream", LENGTH: str(len(text))}
