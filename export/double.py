"""Float64 inside a model: ONNX Runtime has few kernels for it, and loads no file that needs another."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx

from fluxpath.errors import UnsupportedOperatorError
from fluxpath.export.verification.running import serialized
from fluxpath.telemetry import disable_telemetry

_DOUBLE = onnx.TensorProto.DOUBLE


class DoubleError(UnsupportedOperatorError):
    """An operator computes in float64, for which ONNX Runtime has no kernel."""


def refuse_double(graph: onnx.ModelProto) -> None:
    """DoubleError if ONNX Runtime lacks a kernel for something that the graph computes in float64."""
    if not _has_double(graph.graph):
        return
    disable_telemetry()
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state
    except ImportError:
        return
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    with TemporaryDirectory() as folder:
        source = serialized(graph, Path(folder))
        try:
            onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        except state.NotImplemented as error:
            found = re.search(r"implementation for (\w+)\(\d+\) node with name '([^']*)'", str(error))
            named = f"operator {found[1]} of node '{found[2]}'" if found else "an operator"
            raise DoubleError(
                f"{named} computes in float64, for which ONNX Runtime has no kernel: compute it in float32, "
                "without .double()"
            ) from error
        except Exception:  # other reasons are verification's to name
            return


def _has_double(graph: onnx.GraphProto) -> bool:
    if any(t.data_type == _DOUBLE for t in graph.initializer):
        return True
    return any(
        attribute.name in ("to", "dtype") and attribute.i == _DOUBLE
        for node in graph.node
        for attribute in node.attribute
    )
