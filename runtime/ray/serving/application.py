"""The server as a Ray Serve application: one process speaks HTTP and gRPC, many replicas compute."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from fluxpath.artifact import read_identified
from fluxpath.checks import need, number, whole
from fluxpath.errors import InputError
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.preparation.sizes import resolved_shape
from fluxpath.runtime.ray.cluster import need_ray
from fluxpath.runtime.ray.serving.engine import Engine
from fluxpath.runtime.ray.serving.server import Model, Server
from fluxpath.runtime.serve.app import Models
from fluxpath.runtime.serve.protocol.repository import named
from fluxpath.runtime.serve.settings import Settings
from fluxpath.slots import usual_slots

SERVICER = "fluxpath.runtime.ray.serving.rpcs.add_to_server"
"""For `serve.start(grpc_options={"grpc_servicer_functions": [SERVICER]})`."""


def app(
    models: Models,
    settings: Settings | None = None,
    *,
    replicas: int | tuple[int, int] = 1,
    ongoing: int | None = None,
    cpus: float = 1,
    gpus: float | None = None,
    held: int | None = None,
    server_cpus: float = 0.5,
) -> Any:
    """The server of these models as an application for `serve.run`.

    models: files as for `fluxpath.runtime.serve.create_app`, without open `Explainer`s. They must be the same
        on every machine.
    settings: limits and the rest. Addresses, TLS and connections are Ray Serve's.
    replicas: how many, each with an engine of its own for each model; (least, most) follows the requests.
    ongoing: how many requests each replica shall have where their number follows; None for half its slots.
    cpus, gpus: what Ray reserves for a replica, fractions too; `cpus` is also its number of threads, at least
        one, unless the settings say. `gpus` is 1 where the device is a GPU, and otherwise 0.
    held: how many models a replica has open at a time; None for all. With fewer, it opens a model when it is
        asked for, puts away the one that was not for longest, and Ray Serve asks one that has it.
    server_cpus: of the process that speaks HTTP and gRPC. There is one, which knows the jobs and the counts.

    Answers are those of `fluxpath serve`. What a replica was at when it ended is answered with 503. Raises
    ProviderError without Ray; InputError for wrong settings, and what reading the files raises.
    """
    need_ray()
    from ray import serve

    settings = settings or Settings()
    least, most = (replicas, replicas) if isinstance(replicas, int) else replicas
    whole("replicas", most, 1, 2**20)
    whole("replicas", least, 0, most)
    for name, value in (("cpus", cpus), ("server_cpus", server_cpus), ("gpus", gpus or 0.0)):
        number(name, value, 0, 1e5)
    need(settings.model_folder is None, "model_folder is for one process: name all models here")
    files = _files(models)
    gpus = (0.0 if settings.device == "cpu" else 1.0) if gpus is None else gpus
    if settings.threads is None:
        settings = dataclasses.replace(settings, threads=max(1, int(cpus)))
    usual = [settings.slots or usual_slots(settings.device, m.shape, settings.threads) for m in files]
    end = {"graceful_shutdown_timeout_s": settings.drain_timeout, "graceful_shutdown_wait_loop_s": 0.1}
    count: dict[str, Any] = {"num_replicas": most}
    if least < most:
        follows = {
            "min_replicas": least,
            "max_replicas": most,
            "target_ongoing_requests": ongoing or max(1, min(usual) // 2),
        }
        count = {"autoscaling_config": follows}
    options = {name: getattr(settings, name) for name in ("device", "slots", "threads")}
    engine = serve.deployment(Engine).options(
        name="Engine",
        ray_actor_options={"num_cpus": cpus, "num_gpus": gpus},
        max_ongoing_requests=2 * max(usual),
        **count,
        **end,
    )
    server = serve.deployment(serve.ingress()(Server)).options(
        name="Server",
        ray_actor_options={"num_cpus": server_cpus},
        max_ongoing_requests=settings.max_connections,
        **end,
    )
    if held is not None:
        whole("held", held, 1, 2**20)
    opened = len(files) if held is None else held
    opened_as = {model.key: (model.path, model.digest) for model in files}
    several = opened < len(files)
    return server.bind(engine.bind(opened_as, options, opened), files, settings, most * max(usual), several)


def _files(models: Models) -> list[Model]:
    """What there is to say of each file; nothing is opened here."""
    pairs = models.items() if isinstance(models, Mapping) else [(None, text) for text in models]
    found: dict[str, Model] = {}
    for name, given in pairs:
        if isinstance(given, Explainer):
            raise InputError(f"model '{name}' is an open Explainer, and must be a file: replicas open it")
        text = os.fspath(given)
        key, version, path = named(text if name is None else f"{name}={text}")
        manifest, digest = read_identified(path)
        shape = resolved_shape(manifest, None)
        model = Model(key, version, str(path.resolve()), digest, manifest, shape)
        need(model.key not in found, f"two models are called '{key}': name them, as in NAME={path}")
        found[model.key] = model
    need(found, "no model was given: name a file that 'fluxpath export' wrote")
    return list(found.values())
