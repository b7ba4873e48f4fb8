"""Runs a model in ONNX Runtime, which is what will run the file, or by the standard's reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from onnx.reference import ReferenceEvaluator

from fluxpath.errors import FluxpathError, VerificationError, first_line
from fluxpath.export.artifact import split, too_large
from fluxpath.telemetry import disable_telemetry

Run = Callable[[list[str], dict[str, Any]], list[Any]]
"""Names of outputs, and arrays by the names of inputs, to the outputs' arrays."""

Evaluate = Callable[[dict[str, Any]], dict[str, Any]]
"""Runs a gradient graph: arrays in and out by name."""


MOST_OPTIMIZED = 6000
"""Nodes of a graph that the optimizers take seconds for; a ViT-B's gradient graph has half as many."""


@contextmanager
def running(what: str) -> Iterator[None]:
    """Whatever a runtime raises while it runs `what` comes out as VerificationError."""
    try:
        yield
    except FluxpathError:
        raise
    except Exception as error:  # runtimes raise types of their own and of their C++ side
        raise VerificationError(
            f"{what} cannot be run ({first_line(error)[:300]}): check that the model itself runs, and if it "
            "does, please report it"
        ) from error


def evaluator(artifact: onnx.ModelProto) -> Evaluate:
    """A gradient graph, with ONNX Runtime's usual optimizers as anybody will run it.

    Without them if it has thousands of nodes: their time grows with the square of the number.
    """
    usual = len(artifact.graph.node) <= MOST_OPTIMIZED
    names = [v.name for v in artifact.graph.output]
    with TemporaryDirectory() as folder:
        run = runner(serialized(artifact, Path(folder)), artifact, optimized=usual)
    return lambda feeds: dict(zip(names, run(names, feeds), strict=True))


def runner(
    source: str | bytes, proto: onnx.ModelProto | None = None, optimized: bool = True, quiet: bool = False
) -> Run:
    """`source`, a file or its bytes, in ONNX Runtime on the CPU.

    The standard's reference runs `proto`, or the file, where ONNX Runtime is absent or has no kernels for it
    (bfloat16). quiet: failures are expected, and nothing of them is for the user's terminal.
    """
    disable_telemetry()
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError:
        return reference(source, proto)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4 if quiet else 3
    options.enable_cpu_mem_arena = False  # which would keep what a run needed until the session goes
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except state.NotImplemented:
        return reference(source, proto)
    run: Run = session.run
    return run


def reference(source: str | bytes, proto: onnx.ModelProto | None = None) -> Run:
    """The same by the standard's reference."""
    evaluated = ReferenceEvaluator(source if proto is None else proto)
    return lambda names, feeds: list(evaluated.run(names, feeds))


def serialized(artifact: onnx.ModelProto, folder: Path) -> bytes | str:
    """The graph as bytes, or as a path where it is larger than protobuf can hold."""
    if not too_large(artifact):
        data: bytes = artifact.SerializeToString()
        return data
    stub, _ = split(artifact, folder / "weights", "weights")
    onnx.save(stub, folder / "graph.onnx")
    return str(folder / "graph.onnx")
