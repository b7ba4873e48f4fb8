"""What this machine reaches in ONNX Runtime: a matrix product's FLOP/s, and a copy's bytes per second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from fluxpath.errors import ProviderError
from fluxpath.telemetry import disable_telemetry

SIDE = 512
"""Of the square matrices that are multiplied: 0.3 GFLOP, short enough to find the cores free at some time."""

COPIED = (2**19, 2**22, 2**25)
"""Bytes of the arrays that are copied. The smaller ones stay in caches, as a small batch's activations do."""

SECONDS = 0.15
"""For each measurement; the fastest run counts, because others' work only makes runs slower."""


@dataclass(frozen=True)
class Rates:
    """flops: FLOP/s of a large matrix product. copies: (bytes read and written, bytes per second), rising."""

    flops: float
    copies: tuple[tuple[int, float], ...]

    def copying(self, moved: int) -> float:
        """Bytes per second for a node that moves so many in all: the next smaller measurement's."""
        return next((rate for size, rate in reversed(self.copies) if size <= moved), self.copies[0][1])

    def ideal(self, flops: int, moved: int) -> float:
        """Seconds of a node that is bound by nothing but arithmetic or memory, whichever takes longer."""
        return max(flops / self.flops, moved / self.copying(moved))

    def better(self, other: Rates) -> Rates:
        """The higher ones of two measurements."""
        copies = tuple((n, max(a, b)) for (n, a), (_, b) in zip(self.copies, other.copies, strict=True))
        return Rates(max(self.flops, other.flops), copies)


def measured(threads: int | None = None) -> Rates:
    """This machine's rates in about a second, by ONNX Runtime on the CPU with so many threads (None: all).

    ProviderError where onnxruntime is missing.
    """
    run = _runner(_model("MatMul", np.full((SIDE, SIDE), 0.5, np.float32)), threads)
    square = np.full((SIDE, SIDE), 0.5, np.float32)
    flops = 2 * SIDE**3 / _fastest(lambda: run(square))
    run = _runner(_model("Mul", np.asarray(0.5, np.float32)), threads)
    copies = []
    for size in COPIED:
        rows = np.ones((1, size // 4), np.float32)
        copies.append((2 * size, 2 * size / _fastest(lambda rows=rows: run(rows))))  # type: ignore[misc]
    return Rates(flops, tuple(copies))


def _model(op_type: str, constant: Any) -> bytes:
    """One operator of its input [rows, columns] and a constant."""
    sizes = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["rows", "columns"]) for n in ("x", "y")]
    weights = helper.make_tensor("w", TensorProto.FLOAT, constant.shape, constant.tobytes(), raw=True)
    graph = helper.make_graph(
        [helper.make_node(op_type, ["x", "w"], ["y"])], "g", sizes[:1], sizes[1:], [weights]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    data: bytes = model.SerializeToString()
    return data


def _runner(model: bytes, threads: int | None) -> Callable[[Any], None]:
    """What evaluates the model on an array, into memory that stays."""
    disable_telemetry()
    try:
        import onnxruntime
    except ImportError as error:
        raise ProviderError('onnxruntime is not installed: pip install "fluxpath[cpu]"') from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    bound: dict[int, Any] = {}

    def run(x: Any) -> None:
        if id(x) not in bound:
            y = np.empty_like(x)
            binding = session.io_binding()
            binding.bind_cpu_input("x", x)
            binding.bind_output("y", "cpu", 0, np.float32, x.shape, y.ctypes.data)
            bound[id(x)] = binding, x, y
        session.run_with_iobinding(bound[id(x)][0])

    return run


def _fastest(run: Callable[[], None]) -> float:
    """Seconds of the fastest run after the first, which allocates."""
    run()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while (start := time.perf_counter()) < end or best == float("inf"):
        run()
        best = min(best, time.perf_counter() - start)
    return best
