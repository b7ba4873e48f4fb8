"""Puts a classifier's normalisation into the graph, so that its input is an ordinary image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from fluxpath.errors import ModelError
from fluxpath.export.builder import initializer
from fluxpath.export.reading.classifier import explained_input


def normalize_input(
    model: ir.Model, input_name: str | None, mean: Sequence[float], std: Sequence[float]
) -> ir.Model:
    """Compute (input - mean) / std, one entry per channel, before everything that reads the input."""
    x = explained_input(model, input_name)
    shape = x.shape
    if shape is None or len(shape) < 2 or shape[1] != len(mean) or len(mean) != len(std):
        raise ModelError(
            f"mean and std have {len(mean)} and {len(std)} entries, and input '{x.name}' of shape "
            f"{shape} needs one of each per channel"
        )
    if not (np.isfinite(mean).all() and np.isfinite(std).all() and np.all(np.asarray(std) > 0)):
        raise ModelError("mean and std must be finite, and std above zero")
    per_channel = (len(mean), *[1] * (len(shape) - 2))
    readers = list(x.uses())
    if not readers:
        return model
    values = [
        initializer(model.graph, f"fluxpath/{name}", np.asarray(numbers, np.float32).reshape(per_channel))
        for name, numbers in (("mean", mean), ("std", std))
    ]
    centred = ir.Node("", "Sub", [x, values[0]], name="fluxpath/centred")
    normalised = ir.Node("", "Div", [centred.outputs[0], values[1]], name="fluxpath/normalised")
    model.graph.insert_before(model.graph[0], [centred, normalised])
    for node, slot in readers:
        node.replace_input_with(slot, normalised.outputs[0])
    return model
