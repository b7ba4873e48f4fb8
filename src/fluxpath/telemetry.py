"""Keeps ONNX Runtime from writing telemetry into the home directory, and from sending it anywhere."""

from __future__ import annotations

import os

SWITCH = "ORT_DISABLE_TELEMETRY"


def disable_telemetry() -> None:
    """Call it before an import of onnxruntime, which reads the variable; a user's own value stays."""
    os.environ.setdefault(SWITCH, "1")
