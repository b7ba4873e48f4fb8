"""What the server costs beside `attribute` in the same process, and latency against offered load.

    python -m benchmarks.serving [--model resnet20|lite0] [--seconds 5]

Saturated: so many callers that the engine never waits, by binary REST, by gRPC and by JSON, one image a
request, from a process of their own. Offered load: requests at random times (Poisson), whether or not earlier
ones are answered, at shares of the capacity that was measured; beside the same server with one slot, in which
requests do not share evaluations, beside what the queue alone would cost (`benchmarks.queueing`), and, for
ResNet-20, beside an eager PyTorch handler like TorchServe's: one request at a time, JSON in and out.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import random
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import numpy as np

from benchmarks.queueing import bound
from benchmarks.report import DATA, ROOT, arguments, cifar_images, head, write
from fluxpath.runtime import Explainer
from fluxpath.runtime.replicas import Replicas

sys.path.insert(0, str(ROOT / "tests"))
from serving import serving

LOADS = (0.1, 0.5, 0.8, 0.95)
CALLERS = 48
Ask = Callable[[int], Awaitable[bytes]]


def photos() -> np.ndarray:
    """ImageNet photos, float32 [n, 3, 224, 224] in [0, 1]."""
    from PIL import Image

    paths = sorted((DATA.parent / "imagenet" / "images").glob("*.jpg"))[:48]
    return np.stack([np.asarray(Image.open(p), np.float32).transpose(2, 0, 1) / 255 for p in paths])


def rate(explainer: Explainer | Replicas, images: np.ndarray, seconds: float, callers: int) -> float:
    """Images a second that so many callers get from `submit`, each with one image at a time."""
    numbers, done, end = itertools.count(), itertools.count(), time.monotonic() + seconds

    def call() -> None:
        while time.monotonic() < end:
            explainer.submit(images[next(numbers) % len(images)]).result()
            next(done)

    began = time.monotonic()
    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return next(done) / (time.monotonic() - began)


def in_process(path: Path, images: np.ndarray, seconds: float) -> float:
    """The rate of `submit`, with as many waiting as the server's callers keep."""
    with Explainer(path) as explainer:
        explainer.warmup()
        return rate(explainer, images, seconds, CALLERS)


def rest_bodies(images: np.ndarray, as_json: bool) -> list[bytes]:
    """Whole requests, as they go over the wire."""
    bodies = []
    for image in images:
        tensor: dict[str, Any] = {"name": "image", "datatype": "FP32", "shape": [1, *image.shape]}
        if as_json:
            document = {"inputs": [{**tensor, "data": image.reshape(-1).tolist()}]}
            text, tail = json.dumps(document).encode(), b""
        else:
            tail = image.tobytes()
            document = {
                "inputs": [{**tensor, "parameters": {"binary_data_size": len(tail)}}],
                "outputs": [{"name": "attribution", "parameters": {"binary_data": True}}],
            }
            text = json.dumps(document).encode()
        lines = f"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text) + len(tail)}\r\n"
        if not as_json:
            lines += f"Inference-Header-Content-Length: {len(text)}\r\n"
        bodies.append(lines.encode() + b"\r\n" + text + tail)
    return bodies


class Rest:
    """Connections that are used again; parses no more than it must, as it takes the server's cores."""

    def __init__(self, port: int, bodies: list[bytes]) -> None:
        self._port, self._bodies = port, bodies
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __call__(self, number: int) -> bytes:
        pair = self._free.pop() if self._free else None
        reader, writer = pair or await asyncio.open_connection("127.0.0.1", self._port, limit=2**22)
        writer.write(self._bodies[number % len(self._bodies)])
        lines = await reader.readuntil(b"\r\n\r\n")
        size = 0
        for line in lines.lower().split(b"\r\n"):
            if line.startswith(b"content-length: "):
                size = int(line[16:])
        await reader.readexactly(size)
        self._free.append((reader, writer))
        return lines[9:12]


class Rpc:
    """One channel; messages stay bytes."""

    def __init__(self, port: int, images: np.ndarray) -> None:
        from tritonclient.grpc import service_pb2 as pb

        self._messages = []
        for image in images:
            made = pb.ModelInferRequest(model_name="m", raw_input_contents=[image.tobytes()])
            made.inputs.add(name="image", datatype="FP32", shape=[1, *image.shape])
            made.outputs.add(name="attribution")
            self._messages.append(made.SerializeToString())
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options)
        self._call = self._channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")

    async def __call__(self, number: int) -> bytes:
        try:
            await self._call(self._messages[number % len(self._messages)])
        except grpc.RpcError as error:
            return str(error.code()).encode()
        return b"200"


async def saturated(ask: Ask, seconds: float) -> float:
    """Answers a second to CALLERS that each wait for theirs."""
    numbers, done, end = itertools.count(), 0, time.monotonic() + seconds

    async def call() -> None:
        nonlocal done
        while time.monotonic() < end:
            answer = await ask(next(numbers))
            done += answer == b"200"

    began = time.monotonic()
    await asyncio.gather(*(call() for _ in range(CALLERS)))
    return done / (time.monotonic() - began)


async def offered(ask: Ask, rate: float, seconds: float) -> dict[str, Any]:
    """Latencies in milliseconds of requests at random times, `rate` a second."""
    rng, took, other = random.Random(1), list[float](), 0
    at = began = time.monotonic()

    async def one(number: int, due: float) -> None:
        nonlocal other
        if await ask(number) == b"200":
            took.append(time.monotonic() - due)  # from when it was due, however late it could be sent
        else:
            other += 1

    tasks = []
    for number in itertools.count():
        at += rng.expovariate(rate)
        if at > began + seconds:
            break
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        tasks.append(asyncio.ensure_future(one(number, at)))
    await asyncio.gather(*tasks)
    quantiles = np.quantile(took, (0.5, 0.95, 0.99)) * 1e3 if took else [float("nan")] * 3
    return {
        "offered": round(rate, 1),
        "answered": round(len(took) / (time.monotonic() - began), 1),
        **{f"p{q}": round(float(v), 2) for q, v in zip((50, 95, 99), quantiles, strict=True)},
        "refused": other,
    }


def client(kind: str, port: int, images: np.ndarray, work: str, *arguments: float) -> Any:
    """Do `work` with a client of this kind; for a process of its own."""

    async def run() -> Any:
        ask: Ask = Rpc(port, images) if kind == "grpc" else Rest(port, rest_bodies(images, kind == "json"))
        for number in range(3):
            await ask(number)
        return await {"saturated": saturated, "offered": offered}[work](ask, *arguments)

    return asyncio.run(run())


def eager_server(port: Any, stop: Any) -> None:
    """The TorchServe-like handler: eager, one request at a time, JSON."""
    import torch
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from benchmarks import resnet20
    from fluxpath.bench.eager import Network
    from fluxpath.bench.walks import published_mfaba
    from fluxpath.runtime import MFABA

    model, lock = resnet20.load(), threading.Lock()
    network, method = Network(model), MFABA("sharp", step_size=0.1)

    def explained(data: bytes) -> str:
        (tensor,) = json.loads(data)["inputs"]
        image = torch.tensor(tensor["data"], dtype=torch.float32).reshape(tensor["shape"])
        with lock:
            values, _ = published_mfaba(network, image, model(image).argmax(1), method)
        return json.dumps({"explanations": values.tolist()})

    async def infer(request: Request) -> Response:
        text = await asyncio.to_thread(explained, await request.body())
        return Response(text, media_type="application/json")

    async def serve() -> None:
        app = Starlette(routes=[Route("/v2/models/m/infer", infer, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
        task = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port.value = server.servers[0].sockets[0].getsockname()[1]
        await asyncio.to_thread(stop.wait)
        server.should_exit = True
        await task

    asyncio.run(serve())


def main() -> None:
    """Measure, print and write the report."""
    parser = arguments("serving", __doc__, cifar=False)
    parser.add_argument("--model", choices=("resnet20", "lite0"), nargs="+", default=["resnet20", "lite0"])
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    report: dict[str, Any] = head("serving")
    with TemporaryDirectory() as folder:
        for name in options.model:
            report[name] = measured(name, Path(folder, f"{name}.grad.onnx"), options.seconds)
    write(report, options.out)


def measured(name: str, path: Path, seconds: float) -> dict[str, Any]:
    """All figures of one model."""
    from fluxpath.export import gradient_from_onnx

    small = name == "resnet20"
    source = DATA / "resnet20.onnx" if small else DATA.parent / "imagenet" / "efficientnet_lite0.onnx"
    gradient_from_onnx(source, path)
    images = cifar_images(DATA / "images.npz")[:100] if small else photos()
    found: dict[str, Any] = {"attribute in process": round(in_process(path, images, seconds), 1)}
    found["bound"] = bound(path, images, LOADS)
    print(name, found, flush=True)
    with multiprocessing.get_context("spawn").Pool(1) as pool:

        def ask(*arguments: Any) -> Any:
            return pool.apply(client, arguments)

        began = time.monotonic()
        with serving(f"m={path}", "--warmup", "--max-queue-images", 10_000) as server:
            found["seconds to ready, with warm-up"] = round(time.monotonic() - began, 2)
            rest = server.ready["port"]
            ports = {"rest": rest, "grpc": server.ready["grpc_port"], "json": rest}
            for kind, port in ports.items():
                found[f"saturated {kind}"] = round(ask(kind, port, images, "saturated", seconds), 1)
                print(name, kind, found[f"saturated {kind}"], flush=True)
            capacity = found["saturated rest"]
            found["offered"] = [
                ask("rest", ports["rest"], images, "offered", share * capacity, seconds) for share in LOADS
            ]
            print(*found["offered"], sep="\n", flush=True)
        with serving(f"m={path}", "--warmup", "--slots", 1, "--max-queue-images", 10_000) as server:
            port = server.ready["port"]
            found["saturated rest, not shared"] = round(ask("rest", port, images, "saturated", seconds), 1)
            found["offered, not shared"] = [
                ask("rest", port, images, "offered", share * capacity, seconds) for share in LOADS[:3]
            ]
            print(found["saturated rest, not shared"], *found["offered, not shared"], sep="\n", flush=True)
        if small:
            found |= beside_eager(ask, images, seconds)
    return found


def beside_eager(ask: Callable[..., Any], images: np.ndarray, seconds: float) -> dict[str, Any]:
    """Figures of the eager handler."""
    context = multiprocessing.get_context("spawn")
    port, stop = context.Value("i", 0), context.Event()
    process = context.Process(target=eager_server, args=(port, stop))
    process.start()
    while not port.value:
        time.sleep(0.05)
    capacity = ask("json", port.value, images, "saturated", seconds)
    rows = [ask("json", port.value, images, "offered", share * capacity, seconds) for share in LOADS[:3]]
    stop.set()
    process.join()
    print("eager", capacity, *rows, sep="\n", flush=True)
    return {"saturated eager": round(capacity, 1), "offered, eager": rows}


if __name__ == "__main__":
    main()
