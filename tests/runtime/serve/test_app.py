"""The application in someone else's process: mounted in another, and in a worker of their own choice."""

from __future__ import annotations

import asyncio

import httpx
import models
import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from fluxpath.errors import ArtifactError, InputError
from fluxpath.runtime import Explainer
from fluxpath.runtime.serve import Settings, create_app


def asked(app, path, method="GET", **options):
    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request(method, path, **options)

    return asyncio.run(ask())


def test_mounted_with_an_open_explainer(graph):
    images = models.images("smooth", 2)
    tensor = {"name": "image", "datatype": "FP32", "shape": list(images.shape), "data": images.tolist()}
    with Explainer(graph("smooth")) as explainer:
        app = Starlette(routes=[Mount("/explain", create_app({"m": explainer}, Settings(max_images=2)))])
        answer = asked(app, "/explain/v2/models/m/infer", "POST", json={"inputs": [tensor]})
        values = answer.json()["outputs"][0]["data"]
        expected = explainer.attribute(images).values.reshape(-1)
        np.testing.assert_array_equal(np.array(values, np.float32), expected)
        assert asked(app, "/explain/nothing").status_code == 404


def test_a_file_and_the_end_of_its_lifespan(graph):
    app = create_app({"m": graph("smooth")})
    assert asked(app, "/v2/models/m").json()["name"] == "m"

    async def live():
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(live())
    assert asked(app, "/v2/models/m").status_code == 404


@pytest.mark.parametrize("models", [[], ["a=x", "a=x"], ["a b=x"], ["a:0=x"], ["a:one=x"], ["../a=x"]])
def test_models_that_cannot_be_served(models, graph):
    path = str(graph("smooth"))
    with pytest.raises(InputError):
        create_app([m.replace("=x", f"={path}") for m in models])


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(ArtifactError):
        create_app([tmp_path / "a.onnx"])
