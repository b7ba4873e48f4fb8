"""Says in other words what torch's exporters to ONNX lack, or write wrongly."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.nn.utils import parametrize
from torch.overrides import TorchFunctionMode


def with_plain_weights(module: torch.nn.Module) -> torch.nn.Module:
    """`module`, or where it computes parameters from others a copy that holds them as they are."""
    if not any(parametrize.is_parametrized(part) for part in module.modules()):
        return module
    plain = copy.deepcopy(module)
    for part in [p for p in plain.modules() if parametrize.is_parametrized(p)]:
        values = {name: getattr(part, name).detach() for name in part.parametrizations}
        # Both modules share a class, from which torch's own removal would take what the other needs.
        part.__class__ = type(part).__bases__[0]
        del part.parametrizations
        for name, value in values.items():
            part.register_parameter(name, torch.nn.Parameter(value, requires_grad=False))
    return plain


@contextmanager
def spelled_out() -> Iterator[None]:
    """Within it such functions are called by their definitions."""
    with _SpelledOut():
        yield


class _SpelledOut(TorchFunctionMode):  # type: ignore[misc]  # mypy does not follow torch
    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        written = _WRITTEN.get(getattr(function, "__name__", ""))
        result = written(*args, **given) if written is not None else None
        return function(*args, **given) if result is None else result


def _instance_norm(
    x: torch.Tensor,
    running_mean: torch.Tensor | None = None,
    running_var: torch.Tensor | None = None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *rest: Any,
) -> torch.Tensor | None:
    """By running statistics it is a batch normalisation; the exporters leave the statistics out."""
    if use_input_stats or running_mean is None:
        return None
    return functional.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)


def _adaptive_max_pool(spatial: int, pool: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor | None]:
    """Windows of equal size are a usual pooling; others are a pooling each."""

    def spelled(x: torch.Tensor, output_size: Any, return_indices: bool = False) -> torch.Tensor | None:
        sizes = [int(d) for d in x.shape[-spatial:]]
        given = [output_size] * spatial if isinstance(output_size, int) else list(output_size)
        wanted = [size if out is None else int(out) for out, size in zip(given, sizes, strict=True)]
        if return_indices:
            return None
        if all(size % out == 0 for size, out in zip(sizes, wanted, strict=True)):
            kernel = tuple(size // out for size, out in zip(sizes, wanted, strict=True))
            return pool(x, kernel, kernel)
        return _windows(x, -spatial, sizes, wanted, pool, ())

    return spelled


def _windows(
    x: torch.Tensor,
    axis: int,
    sizes: Sequence[int],
    wanted: Sequence[int],
    pool: Callable[..., torch.Tensor],
    kernel: tuple[int, ...],
) -> torch.Tensor:
    """The maxima of all windows along `axis` and after it; before it `x` is cut to the sizes `kernel`."""
    if axis == 0:
        return pool(x, kernel)
    size, out = sizes[axis], wanted[axis]
    parts = []
    for i in range(out):
        start, end = i * size // out, -(-(i + 1) * size // out)
        cut = x.narrow(axis, start, end - start)
        parts.append(_windows(cut, axis + 1, sizes, wanted, pool, (*kernel, end - start)))
    return torch.cat(parts, axis)


_POOLS = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
_WRITTEN: dict[str, Callable[..., torch.Tensor | None]] = {
    "instance_norm": _instance_norm,
    **{f"adaptive_max_pool{n}d": _adaptive_max_pool(n, pool) for n, pool in enumerate(_POOLS, 1)},
}
