"""The model that Triton's Python backend runs: an engine of its own, which requests of all callers share.

`execute` hands a batch of requests to the engine and returns, so that the next ones join the evaluations
that run; each is answered when it is done, by its own sender. Imported where Triton is: nothing else has
its module `triton_python_backend_utils`.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
import traceback
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton

from fluxpath.checks import need
from fluxpath.errors import FluxpathError, InputError
from fluxpath.runtime.serve.protocol.errors import fault_of, sentence_of
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.protocol.inference import Answer, Inference
from fluxpath.runtime.serve.protocol.parameters import deadline_of
from fluxpath.runtime.serve.protocol.repository import Repository
from fluxpath.runtime.serve.protocol.served import DEFAULT_OUTPUTS, Served
from fluxpath.runtime.serve.protocol.tensors import Tensor, datatype_of
from fluxpath.runtime.serve.settings import Settings
from fluxpath.runtime.triton.graph import FILE, PROVENANCE, meaning_of

_CODES = {
    "INVALID_ARGUMENT": "INVALID_ARG",
    "NOT_FOUND": "NOT_FOUND",
    "UNIMPLEMENTED": "UNSUPPORTED",
    "RESOURCE_EXHAUSTED": "UNAVAILABLE",
    "DEADLINE_EXCEEDED": "UNAVAILABLE",
    "UNAVAILABLE": "UNAVAILABLE",
}
"""Triton's errors by gRPC's; it has none for what came too late, and calls its own timeouts unavailable."""

_LOOK = 0.1
"""Seconds after which a request is asked whether its caller has gone; more where many run."""


class TritonPythonModel:
    """One instance of a model; its methods are called by the backend."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open and warm the model; TritonModelException, with fluxpath's sentence, if that cannot be."""
        config = json.loads(args["model_config"])
        self._outputs = {o["name"] for o in config["output"]}
        name, version = args["model_name"], args["model_version"]
        path = Path(args["model_repository"], version, FILE)
        try:
            settings = settings_of(config.get("parameters", {}), device_of(args))
            repository = Repository(settings)
            self._service = Service(repository, settings)
            self._served = Served.open(name, version, path, settings)
            repository.add(self._served)
            self._served.warm_up()
        except FluxpathError as error:
            raise triton.TritonModelException(str(error)) from error
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fluxpath-triton", daemon=True)
        self._thread.start()

    def execute(self, requests: Sequence[Any]) -> None:
        """Begin to answer; what is wrong in a request is told to its own caller."""
        for request in requests:
            arrived, sender = time.monotonic(), request.get_response_sender()
            try:
                asked = self._read(request, arrived)
            except Exception as error:
                self._send(sender, self._failed(error, request.request_id()))
            else:
                names = set(request.requested_output_names())
                asyncio.run_coroutine_threadsafe(self._answer(sender, asked, PROVENANCE in names), self._loop)

    def finalize(self) -> None:
        """Close the model; what still runs is told so."""
        self._service.draining = True
        self._service.close()
        asyncio.run_coroutine_threadsafe(self._ended(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _read(self, request: Any, arrived: float) -> Inference:
        """The request; its arrays are copied, as Triton's memory is its own when `execute` has returned."""
        inputs: dict[str, Tensor] = {}
        for given in request.inputs():
            name = meaning_of(given.name(), self._served)
            need(name not in inputs, f"there are two inputs for '{name}': send one of them")
            inputs[name] = _tensor(name, given.as_numpy())
        parameters = json.loads(request.parameters() or "{}")
        if timeout := request.timeout():
            parameters.setdefault("timeout", timeout)
        # Triton does not say whether all outputs were asked for, or none was.
        asked = set(request.requested_output_names())
        known = [name for name in (*DEFAULT_OUTPUTS, *self._served.outputs) if name in asked]
        settings = self._service.settings
        return Inference(
            self._served.name,
            self._served.version,
            inputs,
            deadline_of(parameters, settings, arrived),
            request.request_id(),
            parameters,
            None if asked >= self._outputs else tuple(dict.fromkeys(known)),
        )

    async def _answer(self, sender: Any, asked: Inference, provenance: bool) -> None:
        """Send what `_computed` gives, or why it gives nothing: exactly one response, whatever happens."""
        try:
            answer = await self._computed(sender, asked)
            response = await asyncio.to_thread(_response, answer, provenance)
        except asyncio.CancelledError:
            gone = triton.TritonError("the caller has cancelled the request", triton.TritonError.CANCELLED)
            response = triton.InferenceResponse(error=gone)
        except Exception as error:
            response = self._failed(error, asked.id)
        await asyncio.to_thread(self._send, sender, response)

    async def _computed(self, sender: Any, asked: Inference) -> Answer:
        """The answer; CancelledError if the caller has gone.

        Nobody else asks the sender, which must not be asked any more once its response is on the way.
        """
        task = asyncio.ensure_future(self._service.infer(asked))
        while not task.done():
            await asyncio.wait((task,), timeout=_LOOK * (1 + self._service.running / 100))
            if not task.done() and await asyncio.to_thread(sender.is_cancelled):
                task.cancel()
        return task.result()

    def _failed(self, error: Exception, id: str) -> Any:
        """The response for the caller; what is the server's own fault goes to its log."""
        fault = fault_of(error)
        if fault.http == 500:
            triton.Logger.log_error(f"request '{id}' failed: {''.join(traceback.format_exception(error))}")
        code = _CODES.get(fault.grpc, "INTERNAL")
        told = triton.TritonError(sentence_of(error), getattr(triton.TritonError, code))
        return triton.InferenceResponse(error=told)

    def _send(self, sender: Any, response: Any) -> None:
        try:
            sender.send(response, flags=triton.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        except Exception as error:  # the backend's own, as without shared memory
            triton.Logger.log_error(f"a response could not be sent: {error}")

    async def _ended(self) -> None:
        """When every request has its answer."""
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest, timeout=5)


def settings_of(parameters: Mapping[str, Mapping[str, str]], device: str) -> Settings:
    """The server's settings among a configuration's parameters; InputError for one that is wrong."""
    hints, chosen = typing.get_type_hints(Settings), dict[str, Any]()
    for field in fields(Settings):
        if field.name not in parameters or field.name == "device":
            continue
        text = parameters[field.name]["string_value"]
        kind = next(k for k in (*typing.get_args(hints[field.name]), hints[field.name]) if k in _READ)
        try:
            chosen[field.name] = _READ[kind](text)
        except (ValueError, KeyError) as error:
            raise InputError(
                f"the parameter '{field.name}' is '{text}', it must be a {kind.__name__}"
            ) from error
    return Settings(**chosen, device=device)


_READ: dict[Any, Any] = {bool: {"true": True, "false": False}.__getitem__, int: int, float: float, str: str}


def device_of(args: Mapping[str, str]) -> str:
    """The device of an instance, by the name that an `Explainer` takes."""
    return f"cuda:{args['model_instance_device_id']}" if args["model_instance_kind"] == "GPU" else "cpu"


def _tensor(name: str, array: Any) -> Tensor:
    if array.dtype == np.object_:
        return Tensor(name, "BYTES", array.shape, list(array.reshape(-1)))
    return Tensor(name, datatype_of(array.dtype), array.shape, array.copy())


def _response(answer: Answer, provenance: bool) -> Any:
    made = [_output(tensor) for tensor in answer.outputs]
    if provenance:
        text = json.dumps(answer.provenance).encode()
        made.append(triton.Tensor(PROVENANCE, np.array([text], np.object_)))
    return triton.InferenceResponse(made)


def _output(tensor: Tensor) -> Any:
    if isinstance(tensor.data, list):
        return triton.Tensor(tensor.name, np.array(tensor.data, np.object_))
    return triton.Tensor(tensor.name, np.ascontiguousarray(tensor.data))
