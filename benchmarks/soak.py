"""Thousands of requests with everything that goes wrong in between, and SIGTERM at the end.

    python -m benchmarks.soak MODEL.grad.onnx --requests 10000

Every request must be answered exactly once, or have been given up by its caller. Answers must be those of
`Explainer.attribute`: bit for bit, or, where ONNX Runtime's kernels round otherwise at another batch size, to
rounding. The server must free slots, descriptors and memory, and end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.utils import InferenceServerException

from fluxpath.runtime import Explainer, NeFLAG

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from serving import Process, open_files

METHOD = {"method": "neflag", "n": 2, "seed": 9}
KINDS = ("rest", "grpc", "json", "bad", "deadline", "gone", "cancelled", "late")
WEIGHTS = (30, 30, 5, 10, 8, 6, 6, 5)


class Soak:
    """The callers. counts: how many requests of each kind ended how."""

    def __init__(self, server: Process, model: Path, seed: int = 1) -> None:
        self._server, self._rng = server, random.Random(seed)
        rng = np.random.default_rng(seed)
        with Explainer(model) as explainer:
            self._images = rng.random((64, *explainer.shape), np.float32)
            settings = {k: v for k, v in METHOD.items() if k != "method"}
            self._expected = explainer.attribute(self._images, method=NeFLAG(**settings)).values  # type: ignore[arg-type]
        self.counts: Counter[str] = Counter()
        self.memory: list[int] = []
        self.stopping = False

    async def run(self, requests: int, callers: int) -> None:
        """Send so many, from so many callers at a time."""
        left = iter(range(requests))
        limits = httpx.Limits(max_connections=callers * 2)
        base = f"http://{self._server.http}"
        async with (
            httpx.AsyncClient(base_url=base, timeout=60, limits=limits) as self._http,
            triton_aio.InferenceServerClient(self._server.grpc) as self._client,
        ):

            async def call() -> None:
                for number in left:
                    if number % max(1, requests // 40) == 0:
                        self.memory.append(resident(self._server.process.pid))
                    kind = self._rng.choices(KINDS, WEIGHTS)[0]
                    self.counts[f"{kind}: {await getattr(self, f'_{kind}')()}"] += 1

            await asyncio.gather(*(call() for _ in range(callers)))

    def _some(self) -> tuple[int, int]:
        start = self._rng.randrange(60)
        return start, start + self._rng.randint(1, 4)

    def _body(self, start: int, end: int, **parameters: Any) -> tuple[bytes, dict[str, str]]:
        images = self._images[start:end]
        tensor = {"name": "image", "datatype": "FP32", "shape": list(images.shape)}
        head = json.dumps({
            "inputs": [{**tensor, "parameters": {"binary_data_size": images.nbytes}}],
            "outputs": [{"name": "attribution"}],
            "parameters": {**METHOD, "binary_data_output": True, **parameters},
        }).encode()  # fmt: skip
        return head + images.tobytes(), {"Inference-Header-Content-Length": str(len(head))}

    async def _post(self, data: bytes, headers: dict[str, str]) -> httpx.Response | None:
        """The answer; None where the server, as it stops, takes no more connections."""
        try:
            return await self._http.post("/v2/models/m/infer", content=data, headers=headers)
        except httpx.TransportError:
            if not self.stopping:
                raise
            return None

    def _judged(self, values: Any, start: int, end: int) -> str:
        """Right, bit for bit; or rounded otherwise, as ONNX Runtime's kernels do for other batch sizes."""
        found, expected = values.reshape(-1), self._expected[start:end].reshape(-1)
        if found.tobytes() == expected.tobytes():
            return "right"
        if found.shape != expected.shape:
            return "WRONG"
        distance = np.linalg.norm(found - expected)
        return "rounded otherwise" if distance <= 1e-5 * np.linalg.norm(expected) else "WRONG"

    async def _rest(self, **parameters: Any) -> str:
        start, end = self._some()
        answer = await self._post(*self._body(start, end, **parameters))
        if answer is None:
            return "refused"
        if answer.status_code != 200:
            return str(answer.status_code)
        values = answer.content[int(answer.headers["inference-header-content-length"]) :]
        return self._judged(np.frombuffer(values, np.float32), start, end)

    async def _deadline(self) -> str:
        return await self._rest(deadline_ms=self._rng.uniform(0.5, 20))

    async def _json(self) -> str:
        start, end = self._some()
        images = self._images[start:end]
        document = {
            "inputs": [
                {"name": "image", "datatype": "FP32", "shape": list(images.shape), "data": images.tolist()}
            ],
            "parameters": METHOD,
            "outputs": [{"name": "attribution"}, {"name": "overlay"}],
        }
        answer = await self._post(json.dumps(document).encode(), {})
        if answer is None:
            return "refused"
        if answer.status_code != 200:
            return str(answer.status_code)
        return self._judged(np.array(answer.json()["outputs"][0]["data"], np.float32), start, end)

    async def _bad(self) -> str:
        data, headers = self._body(*self._some())
        at = self._rng.randrange(len(data))
        data = self._rng.choice([data[:at], data[:at] + data[at + 3 :], b"\0" + data, b""])
        answer = await self._post(data, headers)
        return "refused" if answer is None else str(answer.status_code)

    async def _gone(self) -> str:
        """A caller who sends, or half sends, and hangs up."""
        host, port = self._server.http.split(":")
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError:
            return "refused"
        data, headers = self._body(*self._some(), n=200)
        head = f"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        writer.write(head.encode() + data[: self._rng.choice([len(data), self._rng.randrange(len(data))])])
        await asyncio.sleep(self._rng.uniform(0, 0.05))
        writer.transport.abort()
        return "gone"

    async def _call(self, parameters: dict[str, Any], timeout: float | None = None) -> str:
        start, end = self._some()
        tensor = triton.InferInput("image", [end - start, *self._images.shape[1:]], "FP32")
        tensor.set_data_from_numpy(self._images[start:end])
        asked = [triton.InferRequestedOutput("attribution")]
        try:
            answer = await self._client.infer(
                "m", [tensor], outputs=asked, parameters=parameters, client_timeout=timeout
            )
        except InferenceServerException as error:
            return str(error.status()).removeprefix("StatusCode.").lower()
        if parameters is not METHOD:
            return "answered"
        return self._judged(answer.as_numpy("attribution"), start, end)

    async def _grpc(self) -> str:
        return await self._call(METHOD)

    async def _late(self) -> str:
        return await self._call({**METHOD, "n": 200}, self._rng.uniform(0.001, 0.05))

    async def _cancelled(self) -> str:
        task = asyncio.ensure_future(self._call({**METHOD, "n": 200}))
        await asyncio.sleep(self._rng.uniform(0, 0.05))
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await task
        return "cancelled"


def resident(process: int) -> int:
    """Bytes of memory that a process has."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def soak(model: Path, requests: int, callers: int = 16, seed: int = 1) -> dict[str, Any]:
    """Run it, and return what was seen; see the module."""
    server = Process(f"m={model}", "--max-queue-images", 64)
    soak = Soak(server, model, seed)
    began = time.monotonic()
    await soak.run(max(1, requests // 10), callers)  # to take what memory is kept
    files = open_files(server.process.pid)
    soak.memory.clear()
    await soak.run(requests - requests // 10, callers)
    took = time.monotonic() - began
    await asyncio.sleep(0.3)
    async with httpx.AsyncClient(base_url=f"http://{server.http}") as client:
        pending = (await client.get("/v2/models/m/stats")).json()["model_stats"][0]["pending"]["images"]
    left = open_files(server.process.pid) - files
    half = soak.memory[len(soak.memory) // 2 :]
    soak.stopping = True
    last = asyncio.ensure_future(soak.run(callers * 6, callers))
    await asyncio.sleep(0.05)
    server.process.send_signal(signal.SIGTERM)
    await last
    code = await asyncio.to_thread(server.wait)
    return {
        "requests": requests + callers * 6,
        "counts": dict(sorted(soak.counts.items())),
        "seconds": round(took, 1),
        "images still counted": pending,
        "descriptors more": left,
        "memory, MiB": [round(m / 2**20, 1) for m in (half[0], half[-1])],
        "growth over the second half": round(half[-1] / half[0] - 1, 4),
        "exit code": code,
        "log": server.text,
    }


def main() -> None:
    """Print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--callers", type=int, default=16)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(soak(options.model, options.requests, options.callers)), indent=2))


if __name__ == "__main__":
    main()
