"""The process of a Ray Serve application that speaks HTTP and gRPC, and has others compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fluxpath.manifest import Manifest
from fluxpath.runtime.ray.serving.engines import Engines
from fluxpath.runtime.ray.serving.rpcs import RPCS, answering
from fluxpath.runtime.serve.app import application
from fluxpath.runtime.serve.grpc.server import Servicer
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.protocol.repository import Repository
from fluxpath.runtime.serve.protocol.served import Served
from fluxpath.runtime.serve.settings import Settings


@dataclass(frozen=True)
class Model:
    """A file, as far as it can be known without running it; replicas run no other than that of `digest`."""

    name: str
    version: str
    path: str
    digest: str
    manifest: Manifest
    shape: tuple[int, ...]

    @property
    def key(self) -> str:
        """Its name among the replicas' models."""
        return f"{self.name}:{self.version}"


class Server:
    """Made in the event loop of a Ray Serve replica, which mounts the ASGI application.

    engines: a handle of the deployment of `Engine`. slots: of all its replicas at most. several: whether they
    have some of the models open, and not all.
    """

    def __init__(
        self, engines: Any, models: list[Model], settings: Settings, slots: int, several: bool
    ) -> None:
        repository = Repository(settings)
        for model in models:
            handle = engines.options(multiplexed_model_id=model.key) if several else engines
            explainer = Engines(handle, model.key, model.manifest, model.shape, model.digest, slots)
            repository.add(Served(model.name, model.version, explainer, settings))
        self._service = Service(repository, settings)
        self._rpc = Servicer(self._service)

    def __serve_build_asgi_app__(self) -> Any:
        return application(self._service)


for _name in RPCS:
    setattr(Server, _name, answering(_name))
