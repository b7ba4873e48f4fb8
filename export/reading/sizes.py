"""Refuses a model whose values cannot fit into memory, before anything of it is run."""

from __future__ import annotations

import math
import os

import onnx_ir as ir

from fluxpath.errors import ModelError
from fluxpath.export.builder import dims

_BYTES = 32
"""Of an element, at least: as four inputs in float32 or as one in float64, and its gradient."""


def refuse_too_large(model: ir.Model) -> ir.Model:
    """ModelError that names the first value which is larger than memory. Shapes must have been inferred."""
    most = memory() / _BYTES
    for node in model.graph:
        for value in node.outputs:
            if value.shape is None:
                continue
            count = math.prod(d for d in dims(value) if isinstance(d, int))
            if count > most:
                raise ModelError(
                    f"the result of {node.op_type} '{node.name or value.name}' has {count:.2g} numbers for "
                    f"one input, and needs more memory than there is ({memory() / 2**30:.0f} GiB): check the "
                    "sizes in the model, or export it on a larger machine"
                )
    return model


def memory() -> int:
    """The machine's memory in bytes; where the system does not tell, more than any has."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**44
