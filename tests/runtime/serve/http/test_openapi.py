"""The OpenAPI document is right, complete, and what the server does with requests made from it.

Schemathesis makes the requests: right ones, and wrong ones of every kind that it can think of.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import urllib.request

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from starlette.routing import Route

from fluxpath.runtime.serve.app import create_app
from fluxpath.runtime.serve.http.openapi import document
from fluxpath.runtime.serve.settings import Settings

UNDESCRIBED = {"/metrics", "/openapi.json", "/"}
CASES = 3
"""For each operation, right and wrong ones."""


def test_every_address_is_described(graph):
    app = create_app([graph("smooth")])
    served = {r.path: r.methods - {"HEAD"} for r in app.routes if isinstance(r, Route)}
    described = document(Settings(), ["smooth"])["paths"]
    for path, methods in served.items():
        if path not in UNDESCRIBED:
            known = {verb.upper() for found, row in described.items() for verb in row if found == path}
            assert methods <= known, path
    assert set(described) <= set(served)
    app.state.service.close()


def test_requests_made_from_the_document_fail_as_promised(server, capsys):
    schema = schemathesis.openapi.from_url(f"http://{server.http}/openapi.json")
    count = 0
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation, mode in itertools.product(operations, GenerationMode):

        @seed(1)
        @settings(
            max_examples=CASES, deadline=None, database=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case):
            nonlocal count
            count += 1
            answer = case.call(timeout=20)
            assert answer.status_code in (*range(200, 300), *range(400, 500), 503, 504), answer.text
            assert b"Traceback" not in answer.content
            if answer.status_code >= 400:
                assert json.loads(answer.content)["error"]

        with contextlib.suppress(Unsatisfiable):  # nothing about it can be wrong
            check()
    with capsys.disabled():
        print(f" {count} requests")
    with urllib.request.urlopen(f"http://{server.http}/v2/health/ready") as answer:
        assert answer.status == 200
