"""The server's client tests through Ray Serve, and what its replicas' ends are to callers."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import os
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import httpx
import models
import numpy as np
import pytest
import tritonclient.grpc
from serving import body, post

from fluxpath.errors import InputError
from fluxpath.runtime import Explainer
from fluxpath.runtime.serve import Settings

pytestmark = pytest.mark.skipif(
    find_spec("ray") is None, reason='Ray is not installed: pip install "fluxpath[ray]"'
)

_spec = importlib.util.spec_from_file_location(
    "clients_of_the_server", Path(__file__).parents[2] / "serve" / "test_clients.py"
)
_clients = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_clients)
# The tests themselves, with this folder's `server`.
globals().update(
    {k: v for k, v in vars(_clients).items() if k.startswith("test_") or k in ("kind", "client")}
)

DATA = body(models.images("smooth", 4))


@pytest.mark.parametrize("path", ["/", "/metrics", "/openapi.json"])
def test_the_rest_of_the_application(server, path):
    assert httpx.get(f"http://{server.http}{path}").status_code == 200


def test_a_job(server):
    """Its answer is there whoever computed it."""
    status, _, job = post(server, DATA, "/v2/models/smooth/jobs")
    assert status == 202
    place = f"http://{server.http}/v2/models/smooth/jobs/{job['id']}"
    while (answer := httpx.get(f"{place}/result")).status_code == 202:
        time.sleep(0.02)
    assert answer.json()["outputs"][0]["shape"] == [4, 1, 6, 6]


def test_a_killed_replica_loses_only_what_it_was_at(server):
    replicas = server.replicas()
    assert len(replicas) == 2
    slow = body(models.images("smooth", 4), method="neflag", n=50)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(post, server, slow) for _ in range(60)]
        time.sleep(0.5)
        os.kill(replicas[0], signal.SIGKILL)
        answers = [future.result() for future in futures]
    statuses = [status for status, *_ in answers]
    assert set(statuses) <= {200, 503}
    assert statuses.count(503) <= 8  # as many as there were at a time
    assert all("ended: ask again" in said["error"] for status, _, said in answers if status == 503)
    end = time.monotonic() + 60
    while len(server.replicas()) < 2:  # another takes its place
        assert time.monotonic() < end
        time.sleep(0.1)
    assert post(server, DATA)[0] == 200


def test_models_take_turns_in_a_replica_and_accepted_work_ends(server, graph):
    """Two replicas with room for one of the two models; then the application is deleted under load."""
    server.tell('{"held": 1}')
    images = {name: models.images(name, 2) for name in ("smooth", "relu")}
    with tritonclient.grpc.InferenceServerClient(server.grpc) as client:
        for name in ("smooth", "relu", "smooth", "smooth", "relu"):
            given = tritonclient.grpc.InferInput("image", images[name].shape, "FP32")
            given.set_data_from_numpy(images[name])
            found = client.infer(name, [given]).as_numpy("attribution")
            with Explainer(graph(name), threads=1) as explainer:
                np.testing.assert_array_equal(found, explainer.attribute(images[name]).values)
    slow = body(models.images("smooth", 4), method="neflag", n=300)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(post, server, slow) for _ in range(3)]
        time.sleep(0.3)
        server.tell("delete")
        assert [future.result()[0] for future in futures] == [200, 200, 200]


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_an_open_explainer_is_refused(graph):
    from fluxpath.runtime.ray import app

    with Explainer(graph("smooth")) as explainer, pytest.raises(InputError, match="must be a file"):
        app({"smooth": explainer})
    with pytest.raises(InputError, match="replicas is 3, it must be an integer from 0 to 2"):
        app([graph("smooth")], replicas=(3, 2))
    with pytest.raises(InputError, match="model_folder is for one process"):
        app([graph("smooth")], Settings(model_folder="models"))
