"""The error of an exported gradient, and of float32 autograd, against torch.autograd in float64."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import torch
from torch import nn

from fluxpath.export import gradient_from_torch
from fluxpath.export.verification.running import Evaluate, evaluator

ROWS = 3


class Errors(NamedTuple):
    """Relative L2 errors over a few inputs: of the gradient graph, and of torch.autograd in float32."""

    graph: float
    autograd: float
    notes: tuple[str, ...]


def measure(module: nn.Module, example: Any, path: Path, bounded: bool = True) -> Errors:
    """Give `module` random weights, export it to `path`, and hold its gradient against float64."""
    randomise(module, example)
    done = gradient_from_torch(module, example, path, input_range=(0.0, 1.0) if bounded else None)
    inputs = _inputs(done.manifest.input, example, bounded)
    true = _autograd(copy.deepcopy(module).double(), done.manifest.input, inputs, torch.float64)
    single = _autograd(module, done.manifest.input, inputs, torch.float32)
    feeds = {name: value.numpy() for name, value in inputs.items()}
    names = [done.manifest.input, "target", *(c.name for c in done.manifest.companions)]
    run = _traced(path, names) if path.suffix == ".pt" else evaluator(onnx.load(path))
    out = run({**feeds, "target": np.full(ROWS, -1, np.int64)})
    scale = out["scale"].astype(np.float64).reshape(-1, *[1] * (true.ndim - 1))
    return Errors(_relative(scale * out["gradient"], true), _relative(single, true), done.notes)


def _traced(path: Path, names: list[str]) -> Evaluate:
    module = torch.jit.load(str(path))

    def run(feeds: dict[str, Any]) -> dict[str, Any]:
        return {k: v.numpy() for k, v in module(*(torch.from_numpy(feeds[n]) for n in names)).items()}

    return run


def randomise(module: nn.Module, example: Any) -> None:
    """Random weights at which every layer matters and the logits are of the order of one."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for part in module.modules():
            if not isinstance(part, nn.RNNBase):
                for name, value in part.named_parameters(recurse=False):
                    value.copy_(_parameter(part, name, value, generator))
        module.eval()
        values = _rows(example, 16, generator)
        _settle(module, values)
        logits = _logits(module, values)
        spread = (logits - logits.mean(0)).std() if len(logits) > 1 else logits.std()
        head = [
            m for m in module.modules() if isinstance(m, nn.Linear) and m.out_features == logits.shape[1]
        ][-1]
        # Differences between classes count; between inputs they shall be as large.
        head.weight.mul_(1 / spread)
        if head.bias is not None:
            head.bias.copy_(-(_logits(module, values) - head.bias).mean(0) + head.bias * 0.1)


def _settle(module: nn.Module, values: Any) -> None:
    """Batch statistics as they are, or signals would shrink from layer to layer until rounding is left."""
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    if norms:
        _logits(module, values)
    module.eval()


def _parameter(part: nn.Module, name: str, value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    noise = torch.randn(value.shape, generator=generator)
    if isinstance(part, nn.Linear | nn.modules.conv._ConvNd) and value.ndim > 1:
        return noise * (2 / value[0].numel()) ** 0.5
    if value.ndim > 1 or name.endswith("bias"):
        return 0.1 * noise
    # A norm's or a layer scale's factor.
    return 0.75 + 0.1 * noise


def _rows(example: Any, count: int, generator: torch.Generator) -> Any:
    if isinstance(example, dict):
        return {k: _rows(v, count, generator) for k, v in example.items()}
    if not example.is_floating_point():
        return example.expand(count, *example.shape[1:])
    bounded = bool((example >= 0).all())
    shape = (count, *example.shape[1:])
    return torch.rand(shape, generator=generator) if bounded else torch.randn(shape, generator=generator)


def _logits(module: nn.Module, values: Any) -> torch.Tensor:
    out = module(**values) if isinstance(values, dict) else module(values)
    return out if isinstance(out, torch.Tensor) else out.logits


def _inputs(name: str, example: Any, bounded: bool) -> dict[str, torch.Tensor]:
    values = _rows(example, ROWS, torch.Generator().manual_seed(2))
    return values if isinstance(values, dict) else {name: values}


def _autograd(
    module: nn.Module, name: str, inputs: dict[str, torch.Tensor], dtype: torch.dtype
) -> np.ndarray:
    """d p_t / d input of the predicted class t, as anyone would write it."""
    x = inputs[name].to(dtype, copy=True).requires_grad_()
    logits = _logits(module, {**inputs, name: x} if len(inputs) > 1 else x)
    p = logits.softmax(-1)
    (gradient,) = torch.autograd.grad(p.max(-1).values.sum(), x)
    return gradient.double().numpy()


def _relative(given: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(given - true) / np.linalg.norm(true))
