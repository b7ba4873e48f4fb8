"""Bodies that nobody should send, by the thousand: each is answered, or refused with a sentence.

They are right bodies with something changed: bytes, lengths, or a value of the JSON or the message by one
that is of another type, huge, negative, deeply nested or empty. The seed is fixed; the counts are printed.
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
import socket
import time

import models
import numpy as np
import pytest
from google.protobuf.message import DecodeError
from tritonclient.grpc import service_pb2 as pb

from fluxpath.errors import FluxpathError, InputError
from fluxpath.runtime.serve.grpc import messages
from fluxpath.runtime.serve.http import framing
from fluxpath.runtime.serve.protocol.errors import fault_of
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.protocol.inference import Inference
from fluxpath.runtime.serve.protocol.repository import opened
from fluxpath.runtime.serve.settings import Settings

CASES = 800
SETTINGS = Settings(
    max_queue_evaluations=2000, max_images=8, max_pixels=10_000, max_size=64, deadline=2, max_deadline=2
)
IMAGES = models.images("smooth", 2)
DEEP = json.loads("[" * 100 + "]" * 100)
ADDED = ["n", "radius", "seed", "steps", "replay", "baseline", "contents", "data", "top"]
VALUES = [
    None, True, -1, 0, 1, 2**31, 2**63, 2**64, 10**40, 0.5, -0.0, 1e308, "", "x", "1", "\ud800", "é" * 300,
    [], [[]], {}, [None], [1, "a"], {"a": {}}, DEEP, "neflag", "FP32", "BYTES", "UINT8", [1, 1, 6, 6],
    [2, 1, 6, 6], [0], [2] * 9, "../../etc/passwd", "os:system", ["attribution"], "target", "image", 288, 4,
    float(2**80), "both", [2**40, 2**40],
]  # fmt: skip


def right(rng):
    """A body as it should be, its header length, and its document."""
    sized = {"binary_data_size": IMAGES.nbytes}
    document = {
        "id": "a",
        "inputs": [
            {"name": "image", "datatype": "FP32", "shape": [2, 1, 6, 6], "parameters": sized},
            {"name": "target", "datatype": "INT64", "shape": [2], "data": [1, 2]},
        ],
        "outputs": [
            {"name": "attribution", "parameters": {"binary_data": True}}, {"name": "overlay"},
            {"name": "logits"},
        ],
        "parameters": {
            "method": rng.choice(["neflag", "mfaba-sharp", "saliency", "big"]), "polarity": "both",
            "size": 40,
            "deadline_ms": 2000,
        },
    }  # fmt: skip
    return document, IMAGES.tobytes()


def places(value, path=()):
    """The paths of everything in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def changed(document, rng):
    """The document with one to three values exchanged, removed or added."""
    document = copy.deepcopy(document)
    for _ in range(rng.randint(1, 3)):
        path = rng.choice([p for p in places(document) if p])
        holder = document
        for key in path[:-1]:
            holder = holder[key]
        if rng.random() < 0.15:
            del holder[path[-1]]
        elif isinstance(holder, dict) and rng.random() < 0.15:
            holder[rng.choice(ADDED)] = copy.deepcopy(rng.choice(VALUES))
        else:
            holder[path[-1]] = copy.deepcopy(rng.choice(VALUES))
    return document


def damaged(data, rng):
    """Bytes with some of them changed, cut, doubled or removed."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) or 1)
        kind = rng.randrange(4)
        if kind == 0 and data:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = data[at : at + rng.randrange(40)]
        else:
            del data[at : at + rng.randrange(8)]
    return bytes(data)


def bodies(count):
    """Bodies and header lengths."""
    rng = random.Random(5)
    for _ in range(count):
        document, tail = right(rng)
        if rng.random() < 0.7:
            document = changed(document, rng)
        head = json.dumps(document).encode("utf-8", "surrogatepass")
        data = head + tail
        if rng.random() < 0.4:
            data = damaged(data, rng)
        length = rng.choice(
            [str(len(head))] * 8 + [None, "0", "-1", "x", str(len(data) + 1), "9" * 30, "\u0661"]
        )
        yield data, length


@pytest.fixture(scope="module")
def service(graph):
    service = Service(opened([f"smooth={graph('smooth')}"], SETTINGS), SETTINGS)
    yield service
    service.close()


async def outcome(service, inference):
    """What comes of a request: "answered", or the HTTP status of what was raised."""
    try:
        await service.infer(inference)
    except FluxpathError as error:
        return fault_of(error).http if str(error) else "no sentence"
    return "answered"


def test_bodies_of_rest(service, capsys):
    async def ask():
        found = {}
        for data, length in bodies(CASES):
            try:
                framed = framing.read(data, length, 10**6)
                inputs = framed.inputs
                inference = Inference(
                    "smooth", "", inputs, time.monotonic() + 2, framed.id, framed.parameters, framed.outputs
                )
                result = await outcome(service, inference)
                if result == "answered":
                    answer = await service.infer(inference)
                    parts, _ = framing.write(answer, framed)
                    json.loads(bytes(parts[0]))
            except InputError:
                result = 400
            found[result] = found.get(result, 0) + 1
        return found

    found = asyncio.run(ask())
    with capsys.disabled():
        print(f" {CASES} bodies: {found}")
    assert set(found) <= {"answered", 400, 504} and found["answered"] > 20
    assert service.running == 0 and next(iter(service.repository)).gate.images == 0


def test_bodies_over_sockets(server):
    """Some of them in a real server, also such whose Content-Length lies; it goes on afterwards."""
    host, port = server.http.split(":")
    rng = random.Random(7)
    for data, length in bodies(60):
        claimed = len(data) if rng.random() < 0.8 else max(0, len(data) - rng.randrange(5))
        head = "POST /v2/models/smooth/infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        head += f"Content-Length: {claimed}\r\n"
        if length is not None:
            head += f"Inference-Header-Content-Length: {length}\r\n"
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            connection.sendall(head.encode("utf-8") + b"\r\n" + data[:claimed])
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        status = int(answer.split(b" ", 2)[1])
        assert status in (200, 400, 404, 429, 504), answer[:300]
        assert b"Traceback" not in answer


def message(rng):
    """A right message."""
    made = pb.ModelInferRequest(model_name="smooth", id="a")
    made.inputs.add(name="image", datatype="FP32", shape=[2, 1, 6, 6])
    made.inputs.add(name="target", datatype="INT64", shape=[2])
    if rng.random() < 0.5:
        made.raw_input_contents.extend([IMAGES.tobytes(), np.array([1, 2]).tobytes()])
    else:
        made.inputs[0].contents.fp32_contents.extend(IMAGES.reshape(-1).tolist())
        made.inputs[1].contents.int64_contents.extend([1, 2])
    made.outputs.add(name="attribution")
    made.parameters["method"].string_param = rng.choice(["neflag", "mfaba-sharp", "saliency"])
    made.parameters["deadline_ms"].int64_param = 2000
    return made


def test_messages_of_grpc(service, capsys):
    async def ask():
        rng, found = random.Random(6), {}
        for _ in range(CASES):
            made = message(rng)
            for _ in range(rng.randint(0, 2)):
                tensor = rng.choice(made.inputs)
                change = rng.randrange(6)
                if change == 0:
                    tensor.shape[:] = [
                        rng.choice([-1, 0, 1, 2, 2**40, 2**62]) for _ in range(rng.randrange(6))
                    ]
                elif change == 1:
                    tensor.datatype = rng.choice(["", "FP16", "BYTES", "UINT8", "BOOL", "FP64", "x"])
                elif change == 2:
                    made.parameters[rng.choice(["n", "seed", "method", "timeout"])].double_param = float(
                        "nan"
                    )
                elif change == 3:
                    tensor.contents.int_contents.append(-(2**31))
                elif change == 4:
                    made.raw_input_contents.append(b"x")
                else:
                    tensor.name = rng.choice(["", "image", "other"])
            data = made.SerializeToString()
            if rng.random() < 0.4:
                data = damaged(data, rng)
            try:
                inference = messages.inference(
                    pb.ModelInferRequest.FromString(data), SETTINGS, time.monotonic(), None
                )
                result = await outcome(service, inference)
            except DecodeError:
                result = "no message"
            except InputError:
                result = 400
            found[result] = found.get(result, 0) + 1
        return found

    found = asyncio.run(ask())
    with capsys.disabled():
        print(f" {CASES} messages: {found}")
    assert set(found) <= {"answered", "no message", 400, 404, 504} and found["answered"] > 20
