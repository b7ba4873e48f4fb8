"""What a file takes and gives, from its bytes, is what ONNX and ONNX Runtime read in it."""

from __future__ import annotations

import onnxruntime
import pytest
from whole_files import METHODS

from fluxpath.errors import ArtifactError
from fluxpath.export import attribution_from_gradient
from fluxpath.runtime.triton.signature import signature_of

TYPES = {"float32": "tensor(float)", "int64": "tensor(int64)", "int32": "tensor(int32)"}


@pytest.mark.parametrize("method", METHODS)
def test_it_is_what_onnx_runtime_reads(graph, tmp_path, method):
    path = tmp_path / "whole.onnx"
    attribution_from_gradient(graph("smooth"), path, method=method, settings=METHODS[method])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    read = signature_of(path.read_bytes(), path)
    for values, true in zip(read, (session.get_inputs(), session.get_outputs()), strict=True):
        assert [(v.name, TYPES[v.dtype], [d or None for d in v.shape]) for v in values] == [
            (t.name, t.type, t.shape) for t in true
        ]


@pytest.mark.parametrize("data", [b"\x3a\xff", b"\x3a\x02\x5a\x00", b"\xff" * 20])
def test_what_is_no_model_is_told(data):
    with pytest.raises(ArtifactError, match="no ONNX model"):
        signature_of(data, "x")
