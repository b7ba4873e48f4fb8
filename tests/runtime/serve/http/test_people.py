"""Photos by plain HTTP, as curl and browsers send them, and KServe's first protocol."""

from __future__ import annotations

import base64
import http.client
import io
import json

import models
import numpy as np
import pytest
from PIL import Image

from fluxpath.runtime import NeFLAG
from fluxpath.runtime.pictures import Drawing, heatmap, overlay


def photo(width=40, height=30):
    stream = io.BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


PHOTO = photo()


def ask(server, path, data=PHOTO, method="POST", **headers):
    host, port = server.http.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request(method, path, data, {"Content-Type": "image/jpeg", **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def form(**fields):
    """A form's body and its Content-Type."""
    parts = []
    for name, value in fields.items():
        head = f'--xyz\r\nContent-Disposition: form-data; name="{name}"'
        head += '; filename="p.jpg"\r\nContent-Type: image/jpeg' if isinstance(value, bytes) else ""
        parts.append(head.encode() + b"\r\n\r\n" + (value if isinstance(value, bytes) else value.encode()))
    return b"\r\n".join(parts) + b"\r\n--xyz--\r\n", "multipart/form-data; boundary=xyz"


FORM = {"Content-Type": form()[1]}


def test_a_photo_becomes_an_overlay(server, smooth):
    status, headers, data = ask(server, "/v1/explain?model=smooth&polarity=both&size=60")
    assert status == 200 and headers["content-type"] == "image/png"
    image = smooth.prepare([PHOTO])
    values = smooth.attribute(image).values[0]
    expected = overlay(image[0], values, Drawing(polarity="both", size=60))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(expected))
    assert json.loads(headers["x-fluxpath-provenance"])["method"] == "mfaba-sharp"


def test_a_form_gives_the_same_and_json_says_more(server, smooth):
    data, kind = form(
        image=PHOTO, method="neflag", n="3", target="2", include="map,photo,overlay,heatmap,top,walk"
    )
    status, _, text = ask(
        server, "/v1/explain?model=smooth", data, Accept="application/json", **{"Content-Type": kind}
    )
    told = json.loads(text)
    assert status == 200, told
    image = smooth.prepare([PHOTO])
    expected = smooth.attribute(image, 2, NeFLAG(n=3))
    assert told["target"] == 2 and told["score"] == expected.score[0] and told["end_score"] is None
    best = smooth.predict(image, 4)
    assert [t["class"] for t in told["top"]] == best.classes[0].tolist()
    np.testing.assert_array_equal(told["walk"], smooth.walk(image, 2, NeFLAG(n=3)).scores)
    heat = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["heatmap"]))))
    np.testing.assert_array_equal(heat, np.asarray(heatmap(expected.values[0])))
    assert np.frombuffer(base64.b64decode(told["map"]["float32"]), np.float32).size == 36
    for name in ("photo", "overlay"):
        assert Image.open(io.BytesIO(base64.b64decode(told[name]))).size == (228, 228)


def test_the_exact_attribution_on_request(server, smooth):
    _, _, text = ask(server, "/v1/explain?model=smooth&include=attribution", Accept="application/json")
    found = json.loads(text)["attribution"]
    values = np.frombuffer(base64.b64decode(found["float32"]), np.float32).reshape(found["shape"])
    np.testing.assert_array_equal(values, smooth.attribute(smooth.prepare([PHOTO])).values[0])


@pytest.mark.parametrize(
    ("path", "data", "headers", "status", "said"),
    [
        ("/v1/explain", PHOTO, {}, 400, "choose one with model="),
        ("/v1/explain?model=smooth", b"just text", {}, 400, "not an image in a format"),
        ("/v1/explain?model=smooth", PHOTO[:200], {}, 400, "cannot be read"),
        ("/v1/explain?model=smooth", b"", {}, 400, "body is empty"),
        ("/v1/explain?model=smooth&nonsense=1", PHOTO, {}, 400, "parameter 'nonsense'"),
        ("/v1/explain?model=smooth&target=9", PHOTO, {}, 400, "target 9 is not a class"),
        ("/v1/explain?model=smooth&include=all", PHOTO, {"Accept": "application/json"}, 400, "include has"),
        ("/v1/explain?model=smooth", PHOTO, {"Accept": "text/csv"}, 415, "image/png or application/json"),
        ("/v1/explain?model=smooth", b"{}", {"Content-Type": "application/json"}, 415, "field 'image'"),
        ("/v1/explain?model=smooth", b"--", {"Content-Type": "multipart/form-data"}, 400, "no boundary"),
        ("/v1/explain?model=smooth", form(image=PHOTO)[0][:-40], FORM, 400, "ends within"),
        ("/v1/explain?model=smooth", form(photo=PHOTO)[0], FORM, 400, "no field 'image'"),
        ("/v1/explain?model=smooth&baseline=[1,&method=integrated-gradients", PHOTO, {}, 400, "not JSON"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(server, path, data, headers, status, said):
    found, _, text = ask(server, path, data, **headers)
    assert (found, said in json.loads(text)["error"]) == (status, True), text


def test_kserves_first_protocol(server, smooth):
    images = models.images("smooth", 2)
    data = json.dumps({"instances": images.tolist(), "parameters": {"method": "neflag", "n": 2}}).encode()
    status, _, text = ask(server, "/v1/models/smooth:explain", data)
    rows = json.loads(text)["explanations"]
    expected = smooth.attribute(images, method=NeFLAG(n=2))
    assert status == 200
    np.testing.assert_array_equal(np.array([r["attribution"] for r in rows], np.float32), expected.values)
    photos = [{"image": {"b64": base64.b64encode(PHOTO).decode()}, "target": 1}]
    status, _, text = ask(server, "/v1/models/smooth:explain", json.dumps({"instances": photos}).encode())
    assert status == 200 and json.loads(text)["explanations"][0]["target"] == 1


@pytest.mark.parametrize(
    "instances", [None, [], [[1], [1, 2]], ["a"], [{"b64": "a"}, 3], [{"image": [1], "target": "x"}], [{}]]
)
def test_instances_that_are_none(server, instances):
    status, _, text = ask(server, "/v1/models/smooth:explain", json.dumps({"instances": instances}).encode())
    assert status == 400 and json.loads(text)["error"]


def test_what_a_page_needs_to_know(server):
    status, _, text = ask(server, "/v1/models", None, "GET")
    found = json.loads(text)
    assert status == 200 and found["models"] == ["smooth", "relu"]
    assert found["methods"]["neflag"]["n"] == 1 and "ascent" not in found["methods"]["mfaba-sharp"]
    assert found["about"]["smooth"]["classes"] == 4
    assert json.loads(ask(server, "/v1/models/smooth", None, "GET")[2]) == {"name": "smooth", "ready": True}
