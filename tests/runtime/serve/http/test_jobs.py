"""Jobs: their states, progress, results, limits, and that cancelling frees lanes."""

from __future__ import annotations

import http.client
import json
import time

import models
import numpy as np
import pytest
from serving import serving

from fluxpath.runtime import NeFLAG

IMAGES = models.images("smooth", 2)


def ask(server, method, path, data=None):
    host, port = server.http.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request(method, path, data)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def start(server, **parameters):
    tensor = {"name": "image", "datatype": "FP32", "shape": [2, 1, 6, 6], "data": IMAGES.tolist()}
    data = json.dumps({"inputs": [tensor], "parameters": {"method": "neflag", **parameters}})
    return ask(server, "POST", "/v2/models/smooth/jobs", data)


def ended(server, id):
    end = time.monotonic() + 20
    while True:
        status, found = ask(server, "GET", f"/v2/models/smooth/jobs/{id}")
        if status != 200 or found["state"] != "running":
            return status, found
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def busy(graph):
    with serving(
        f"smooth={graph('smooth')}", "--max-jobs", 2, "--job-bytes", 2000, "--max-queue-evaluations", 10**9
    ) as process:
        yield process


def test_a_job_gives_what_infer_would_have_given(busy, smooth):
    status, job = start(busy, n=4)
    assert status == 202
    status, found = ended(busy, job["id"])
    assert (status, found["state"]) == (200, "done")
    assert found["progress"] == {"steps": found["progress"]["steps"], "lanes": 10, "lanes_left": 0}
    status, answer = ask(busy, "GET", f"/v2/models/smooth/jobs/{job['id']}/result")
    (values,) = [o["data"] for o in answer["outputs"] if o["name"] == "attribution"]
    expected = smooth.attribute(IMAGES, method=NeFLAG(n=4)).values
    np.testing.assert_array_equal(np.array(values, np.float32), expected.reshape(-1))


def test_progress_and_cancelling(busy):
    _, job = start(busy, n=10**6)
    place = f"/v2/models/smooth/jobs/{job['id']}"
    end = time.monotonic() + 20
    while True:
        _, found = ask(busy, "GET", place)
        if found.get("progress", {}).get("steps"):
            break
        assert time.monotonic() < end
    assert 0 < found["progress"]["lanes_left"] < found["progress"]["lanes"]
    assert ask(busy, "GET", f"{place}/result")[0] == 202
    assert ask(busy, "DELETE", place)[0] == 200
    assert ask(busy, "GET", place)[0] == 404
    while ask(busy, "GET", "/v2/models/smooth/stats")[1]["model_stats"][0]["pending"]["images"]:
        assert time.monotonic() < end, "lanes of a deleted job still run"


def test_only_so_many_jobs_run(busy):
    jobs = [start(busy, n=10**6)[1]["id"] for _ in range(2)]
    status, said = start(busy, n=1)
    assert status == 429 and "2 jobs run already" in said["error"]
    assert {job["state"] for job in ask(busy, "GET", "/v2/models/smooth/jobs")[1]["jobs"]} >= {"running"}
    for job in jobs:
        ask(busy, "DELETE", f"/v2/models/smooth/jobs/{job}")


def test_the_oldest_results_go_when_there_are_too_many_bytes(busy):
    jobs = []
    for _ in range(6):
        jobs.append(start(busy, n=1)[1]["id"])
        ended(busy, jobs[-1])
    statuses = [ask(busy, "GET", f"/v2/models/smooth/jobs/{job}")[0] for job in jobs]
    assert statuses[0] == 404 and statuses[-1] == 200


def test_a_job_that_fails_says_why(busy):
    _, job = start(busy, radius=-1)
    _, found = ended(busy, job["id"])
    assert (found["state"], found["status"]) == ("failed", 400) and "radius" in found["error"]
    assert ask(busy, "GET", f"/v2/models/smooth/jobs/{job['id']}/result")[0] == 400


@pytest.mark.parametrize("path", ["nobody/jobs", "smooth/jobs/none", "smooth/jobs/none/result"])
def test_jobs_that_there_are_not(busy, path):
    assert ask(busy, "GET", f"/v2/models/{path}")[0] == 404


def test_a_deadline_holds_for_jobs(busy):
    _, job = start(busy, n=10**6, deadline_ms=50)
    assert ended(busy, job["id"])[1]["status"] == 504
