"""The Open Inference Protocol's addresses."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fluxpath.errors import InputError
from fluxpath.runtime.serve.http import framing
from fluxpath.runtime.serve.http.body import Bodies, while_connected
from fluxpath.runtime.serve.http.envelope import guarded
from fluxpath.runtime.serve.http.framing import Framed
from fluxpath.runtime.serve.loading import load, unload
from fluxpath.runtime.serve.protocol.errors import DrainingError
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.protocol.inference import Answer, Inference
from fluxpath.runtime.serve.protocol.parameters import deadline_of
from fluxpath.runtime.serve.protocol.tensors import Tensor, from_raw

_THREADED = 2**16
"""Values of JSON tensors from which on the answer is written in a thread."""


class V2:
    """The endpoints; `routes` are theirs."""

    def __init__(self, service: Service, bodies: Bodies) -> None:
        self._service, self._bodies = service, bodies
        self._settings = service.settings

    @property
    def routes(self) -> list[Route]:
        """All addresses under /v2 but the jobs'."""
        rows: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/v2", self.server),
            ("GET", "/v2/health/live", self.live),
            ("GET", "/v2/health/ready", self.ready),
            ("GET", "/v2/models/stats", self.stats),
            ("POST", "/v2/repository/index", self.index),
            ("POST", "/v2/repository/models/{model}/load", self.load),
            ("POST", "/v2/repository/models/{model}/unload", self.unload),
        ]
        for model in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}"):
            rows += [
                ("GET", model, self.metadata),
                ("GET", f"{model}/ready", self.model_ready),
                ("GET", f"{model}/config", self.config),
                ("GET", f"{model}/stats", self.stats),
                ("POST", f"{model}/infer", self.infer),
            ]
        refuse = self._service.refused
        return [Route(path, guarded(run, refuse), methods=[verb]) for verb, path, run in rows]

    async def server(self, request: Request) -> Response:
        """Name, version and extensions of the server."""
        return JSONResponse(self._service.repository.about())

    async def live(self, request: Request) -> Response:
        """Whether the process runs."""
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """Whether new work is taken; 503 if not, as while the server stops."""
        return JSONResponse({"ready": self._service.ready}, 200 if self._service.ready else 503)

    async def metadata(self, request: Request) -> Response:
        """Inputs and outputs of a model."""
        served = self._service.repository.find(*_model(request))
        return JSONResponse(served.metadata(self._service.repository.versions(served.name)))

    async def model_ready(self, request: Request) -> Response:
        """Whether a model takes work."""
        served = self._service.repository.find(*_model(request))
        ready = self._service.ready and served.ready
        return JSONResponse({"name": served.name, "ready": ready}, 200 if ready else 503)

    async def config(self, request: Request) -> Response:
        """A model's configuration, as Triton's."""
        return JSONResponse(self._service.repository.find(*_model(request)).config())

    async def stats(self, request: Request) -> Response:
        """Counts of one model's requests, or of all."""
        name, version = _model(request)
        found = self._service.repository.statistics(name, version)
        for row in found:
            gate = self._service.repository.find(row["name"], row["version"]).gate
            row["pending"] = {"images": gate.images, "evaluations": round(gate.evaluations, 1)}
        return JSONResponse({"model_stats": found})

    async def index(self, request: Request) -> Response:
        """The models that are served and, in the folder of models, those that can be."""
        async with self._bodies.read(request) as data:
            found = framing.document(data, self._settings.max_json) if data else {}
        return JSONResponse(self._service.repository.index(found.get("ready") is True))

    async def load(self, request: Request) -> Response:
        """Serve a model of the folder of models, or open it again."""
        async with self._bodies.read(request) as data:
            given = framing.document(data, self._settings.max_json) if data else {}
        if given.get("parameters"):
            raise InputError("parameters of loading are not supported: the file says all that is needed")
        await load(self._service, request.path_params["model"])
        return JSONResponse({})

    async def unload(self, request: Request) -> Response:
        """Serve a model no more; its running requests end first."""
        async with self._bodies.read(request):
            pass
        await unload(self._service, request.path_params["model"])
        return JSONResponse({})

    async def infer(self, request: Request) -> Response:
        """Explain, or predict."""
        if self._service.draining:  # before the body is read
            raise DrainingError("the server is stopping and takes no new work")
        arrived = time.monotonic()
        async with self._bodies.read(request) as data:
            inference, framed = self.read(request, data, arrived)
            answer = await while_connected(request, self._service.infer(inference))
            return await self.written(answer, framed)

    def read(self, request: Request, data: bytes, arrived: float) -> tuple[Inference, Framed]:
        """The body of `infer` as a request."""
        model, version = _model(request)
        framed = framing.read(data, request.headers.get(framing.LENGTH), self._settings.max_json)
        inputs = framed.inputs
        if framing.RAW in inputs:
            photo = request.headers.get("content-type", "").startswith("image/")
            inputs = {"image": self._only_input(model, version, data, photo)}
        deadline = deadline_of(framed.parameters, self._settings, arrived)
        name = framed.id or ""
        return Inference(model, version, inputs, deadline, name, framed.parameters, framed.outputs), framed

    def _only_input(self, model: str, version: str, data: bytes, photo: bool) -> Tensor:
        """A body without JSON: a photo's file, or the numbers of one or more images."""
        if photo:
            return Tensor("image", "BYTES", (1,), [data])
        shape = self._service.repository.find(model, version).explainer.shape
        size = 4
        for d in shape:
            size *= d
        if not data or len(data) % size:
            raise InputError(
                f"the body has {len(data)} bytes, and must be float32 images of {size} bytes each, or a "
                "photo with its Content-Type, such as image/jpeg"
            )
        return from_raw("image", "FP32", (len(data) // size, *shape), data)

    async def written(self, answer: Answer, framed: Framed) -> Response:
        """The answer as a response; long JSON is written in a thread."""
        texts = sum(
            1 if isinstance(t.data, list) else t.data.size
            for t in answer.outputs
            if not framed.is_binary(t.name)
        )
        if texts > _THREADED:
            parts, headers = await self._service.in_thread(framing.write, answer, framed)
        else:
            parts, headers = framing.write(answer, framed)
        if len(parts) == 1:
            return Response(parts[0], headers=headers)
        return Response(b"".join(parts), headers=headers)


def _model(request: Request) -> tuple[str, str]:
    return request.path_params.get("model", ""), request.path_params.get("version", "")
