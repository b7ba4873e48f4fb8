"""A cluster of this machine with a Ray Serve application, until standard input ends.

    python serve_on_ray.py '{"models": [...], "app": {...}}'

It writes its ports as a line of JSON when the application is ready.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
import warnings

warnings.simplefilter("ignore")  # Ray's own

import ray  # noqa: E402
from ray import serve  # noqa: E402

from fluxpath.runtime.ray import app  # noqa: E402
from fluxpath.runtime.ray.serving.application import SERVICER  # noqa: E402


def free() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


given = json.loads(sys.argv[1])
ray.init("local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False,
         object_store_memory=100 * 2**20)  # fmt: skip
ports = {"port": free(), "grpc_port": free()}
serve.start(
    http_options={"host": "127.0.0.1", "port": ports["port"]},
    grpc_options={"port": ports["grpc_port"], "grpc_servicer_functions": [SERVICER]},
    logging_config={"log_level": "ERROR"},
)
serve.run(app(given["models"], server_cpus=0.2, **given["app"]), blocking=False)
print(json.dumps(ports), flush=True)
for line in sys.stdin:  # what to do while the cluster goes on
    if line.strip() == "delete":
        serve.delete("default")
    else:
        serve.run(
            app(given["models"], server_cpus=0.2, **{**given["app"], **json.loads(line)}), blocking=False
        )
    print("done", flush=True)
serve.shutdown()
ray.shutdown()
