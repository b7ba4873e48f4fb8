"""Operators in plain numpy, written from the standard's text, for float64 on onnx.reference.

That evaluator gets corners of them wrong, or computes them in float32, of which no finite difference can be
taken. Tests hold each of these against ONNX Runtime.
"""

from __future__ import annotations

from onnx.reference.op_run import OpRun

from fluxpath.export.reference import curves, lookups, statistics, windows

OPERATORS: tuple[type[OpRun], ...] = (
    *windows.OPERATORS,
    *curves.OPERATORS,
    *statistics.OPERATORS,
    *lookups.OPERATORS,
)
"""What goes before onnx.reference's own, as `new_ops`."""
