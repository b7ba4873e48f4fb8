"""A torch module's logits: picked from what it returns, and from before a closing softmax."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from fluxpath.errors import ModelError
from fluxpath.export.torch_module.one_type import one_type

_PROBABILITIES = {"softmax", "log_softmax", "sigmoid", "expit"}
_SQUASHING = {"softmax", "sigmoid", "expit", "tanh", "hardsigmoid", "erf"}
_WEIGHTED = {"linear", "matmul", "__matmul__", "addmm", "mm", "bmm", "einsum", "conv1d", "conv2d", "conv3d"}


class Logits(torch.nn.Module):  # type: ignore[misc]  # mypy does not follow torch
    """Calls `module` with positional tensors and returns its logits alone.

    keywords: the names to pass them by, None to pass them by position. output: which of several outputs.
    `dtype`, where it is set, is the only floating type in which the module computes. `logarithms`: the module
    gives probabilities that no closing softmax made, as an ensemble does; their logarithms are logits.
    """

    def __init__(self, module: torch.nn.Module, keywords: Sequence[str] | None, output: str | None) -> None:
        super().__init__()
        self.module = module
        self.keywords = keywords
        self.output = output
        self.dtype: torch.dtype | None = None
        self.logarithms = False
        # torch's older exporter puts back the mode of the outermost module, in all of them.
        self.training = module.training

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        """The logits [batch, classes] or [batch]."""
        return self.both(*values)[1]

    def both(self, *values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, bool]:
        """What the module itself gives, the logits, and whether it squashes after its last weights."""
        single = nullcontext() if self.dtype is None else one_type(self.dtype)
        with _Remember() as mode, single:
            if self.keywords is None:
                result = self.module(*values)
            else:
                result = self.module(**dict(zip(self.keywords, values, strict=True)))
        own = pick_logits(result, self.output)
        logits = mode.before(own)
        if self.logarithms and logits is own:
            logits = own.clamp_min(torch.finfo(own.dtype).tiny).log()
        return own, _by_row(logits), mode.squashed(own)


def _by_row(logits: torch.Tensor) -> torch.Tensor:
    """Logits with further sizes of one, such as the [batch, classes, 1, 1] of a convolution, without them."""
    return logits.flatten(1) if logits.ndim > 2 and _one_large(logits, None) else logits


def _one_large(value: torch.Tensor, dim: int | None) -> bool:
    """Whether at most one of a row's sizes is not one; that of `dim`, unless it is None."""
    large = [i for i, d in enumerate(value.shape) if i > 0 and d != 1]
    return large in ([], [dim]) or (dim is None and len(large) == 1)


def pick_logits(result: Any, output: str | None) -> torch.Tensor:
    """The logits in what a module returned: the entry `output`, else "logits", else the first or only."""
    if isinstance(result, torch.Tensor):
        return result
    in_order = isinstance(result, tuple | list)
    if isinstance(result, Mapping):
        entries = {str(k): v for k, v in result.items()}
    elif hasattr(result, "_asdict"):
        entries = result._asdict()
    elif in_order:
        entries = {str(i): v for i, v in enumerate(result)}
    else:
        entries = dict(getattr(result, "__dict__", {}))
    tensors = {k: v for k, v in entries.items() if isinstance(v, torch.Tensor)}
    if output is None and "logits" not in tensors and tensors and (in_order or len(tensors) == 1):
        return next(iter(tensors.values()))
    name = "logits" if output is None else output
    if name not in tensors:
        hint = ": name the logits with output=" if output is None else ""
        raise ModelError(f"the module returns no tensor '{name}', it returns {list(tensors)}{hint}")
    return tensors[name]


class _Remember(TorchFunctionMode):  # type: ignore[misc]  # mypy does not follow torch
    """Keeps the input of every softmax or sigmoid that may be a classifier's last step."""

    def __init__(self) -> None:
        super().__init__()
        self._found: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._bounded: dict[int, weakref.ref[torch.Tensor]] = {}

    def squashed(self, value: torch.Tensor) -> bool:
        """Whether `value` is made only of what has a bounded range and of numbers, after the last weights."""
        kept = self._bounded.get(id(value))
        return kept is not None and kept() is value

    def before(self, value: torch.Tensor) -> torch.Tensor:
        """The logits of which `value` holds the probabilities; `value` itself if it holds others.

        The objectives are functions of the logits, and are exact only if they are computed from them.
        """
        return next((inner for result, inner in self._found if result is value), value)

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        result = function(*args, **given)
        name = getattr(function, "__name__", "")
        if isinstance(result, torch.Tensor) and self._stays_bounded(name, [*args, *given.values()]):
            self._bounded[id(result)] = weakref.ref(result)
        if name in _PROBABILITIES and isinstance(result, torch.Tensor):
            inner = args[0] if args else given.get("input")
            dim = given.get("dim", args[1] if len(args) > 1 else None)
            if name in ("sigmoid", "expit") or _over_the_row(result, dim):
                self._found.append((result, inner))
        return result

    def _stays_bounded(self, name: str, given: Sequence[Any]) -> bool:
        if name in _SQUASHING:
            return True
        lists = [v for v in given if isinstance(v, list | tuple)]
        every = [v for v in (*given, *(v for each in lists for v in each)) if isinstance(v, torch.Tensor)]
        tensors = [v for v in every if not isinstance(v, torch.nn.Parameter)]
        return name not in _WEIGHTED and tensors != [] and all(map(self.squashed, tensors))


def _over_the_row(result: torch.Tensor, dim: Any) -> bool:
    if not isinstance(dim, int):
        return False
    place = dim % max(int(result.ndim), 1)
    if result.ndim in (1, 2):
        return place == int(result.ndim) - 1
    return place > 0 and _one_large(result, place)
