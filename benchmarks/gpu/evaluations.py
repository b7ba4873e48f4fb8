"""One evaluation of the gradient graph by stack and batch: what each stack could reach, without the engine.

    python -m benchmarks.gpu.evaluations ResNet-50 --stacks session eager inductor --batches 1 64

session: fluxpath's TorchScript, as it is replayed. eager: autograd. inductor: the traced gradient graph
through torch.compile. The last two are replayed as CUDA graphs.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.errors import survive
from benchmarks.gpu.exported import wait_for
from benchmarks.gpu.models import NAMES, Subject, subject
from benchmarks.gpu.place import note
from benchmarks.gpu.sides import Side
from fluxpath.bench.eager import HALVES, Half, Network, exact_gradient, fast_copy
from fluxpath.bench.folding import folded
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.opening import open_session
from fluxpath.runtime.lanes import Fresh

Work = Callable[[], object]


def main(given: list[str] | None = None) -> int:
    """Every combination, one after the other."""
    options = _options(given)
    end = time.monotonic() + options.until
    network = subject(options.model)
    for stack, precision, batch in itertools.product(options.stacks, options.precisions, options.batches):
        what = f"{stack} {precision} {batch}"
        if time.monotonic() > end - 3:
            print(f"  no time for {what}", flush=True)
            continue
        row = {"model": network.name, "stack": stack, "precision": precision, "batch": batch}
        start = time.perf_counter()
        try:
            Side.parse(f"eager {precision} tuned").prepare()
            ms = _measured(network, stack, precision, batch, options.device, options.seconds)
            note("evaluations", {**row, "ms": ms, "prepared_s": time.perf_counter() - start})
            print(f"  {network.name} {what:30}{ms:9.3f} ms {1e3 * batch / ms:9.0f} img/s", flush=True)
        except Exception as error:  # one that fails must not cost the others
            note("evaluations", {**row, "error": survive(what, error)})
    return 0


def _options(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", choices=NAMES)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--stacks", nargs="+", default=["session", "eager"], choices=tuple(STACKS))
    parser.add_argument("--precisions", nargs="+", default=["bfloat16", "float16", "TF32", "float32"])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--until", type=float, default=600, help="seconds after which nothing is begun")
    return parser.parse_args(given)


def _measured(network: Subject, stack: str, precision: str, batch: int, device: str, seconds: float) -> float:
    """The median milliseconds of an evaluation."""
    work, stream = STACKS[stack](network, precision, batch, device)
    if not device.startswith("cuda"):
        return _on_host(work, seconds)
    if stream is None:
        stream = torch.cuda.Stream()
        work = _captured(work, stream)
    on: AbstractContextManager[Any] = torch.cuda.stream(stream)
    with on:
        return _on_gpu(work, seconds)


def _session(network: Subject, precision: str, batch: int, device: str) -> tuple[Work, Any]:
    """fluxpath's session, which captures by itself, and its stream."""
    dtype = "float32" if precision == "TF32" else precision
    path = wait_for(network.name, f"{dtype}.pt", 60)
    options = Options(device, most=batch, tf32=precision == "TF32", channels_last=dtype != "float32")
    session: Any = open_session(path, options)
    lanes = session.make_lanes(batch, network.shape)
    session.bind(lanes)
    rng, features = np.random.default_rng(0), int(np.prod(network.shape))
    lanes.fill([Fresh(slot, rng.random(features, np.float32), 0) for slot in range(batch)])
    stream = torch.cuda.ExternalStream(session.device.stream) if device.startswith("cuda") else None
    for _ in range(6):  # more often than it runs before it is captured
        session.run(batch)
    return lambda: session.run(batch), stream


def _eager(network: Subject, precision: str, batch: int, device: str) -> tuple[Work, None]:
    """Forward and backward, to the input alone; half precision in channels-last order."""
    dtype = HALVES.get(precision, torch.float32)
    order = torch.channels_last if precision in HALVES else torch.contiguous_format
    model = fast_copy(folded(network.module), precision in HALVES).to(device)
    module = Half(model, dtype) if precision in HALVES else model
    whole = Network(module, channels_last=precision in HALVES)
    x = torch.rand(batch, *network.shape, device=device).to(memory_format=order)
    target = torch.zeros(batch, dtype=torch.int64, device=device)

    def work() -> object:
        return exact_gradient(whole, x.to(dtype), target)

    return work, None


def _inductor(network: Subject, precision: str, batch: int, device: str) -> tuple[Work, None]:
    """The gradient graph for this batch alone; on a CPU without a compiler's work."""
    from benchmarks.gpu.aotinductor import program

    dtype = "float32" if precision == "TF32" else precision
    module = program(network, device, dtype, batch).module()
    backend = "inductor" if device.startswith("cuda") else "eager"
    torch._dynamo.reset()
    compiled: Any = torch.compile(module, dynamic=False, backend=backend)
    x = torch.rand(batch, *network.shape, device=device)
    target = torch.zeros(batch, dtype=torch.int64, device=device)

    def work() -> object:
        with torch.no_grad():
            return compiled(x, target)

    return work, None


STACKS: dict[str, Callable[[Subject, str, int, str], tuple[Work, Any]]] = {
    "session": _session,
    "eager": _eager,
    "inductor": _inductor,
}


def _captured(work: Work, stream: Any) -> Work:
    with torch.cuda.stream(stream):
        for _ in range(4):
            work()
        stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            kept = work()  # its memory is the graph's

    def replay() -> object:
        graph.replay()
        return kept

    return replay


def _on_gpu(work: Work, seconds: float) -> float:
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < 5 or (time.perf_counter() - start < seconds and len(times) < 200):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def _on_host(work: Work, seconds: float) -> float:
    times: list[float] = []
    while sum(times) < 1e3 * seconds or not times:
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


if __name__ == "__main__":
    raise SystemExit(main())
