"""Lets a module compute in one floating type, whatever types its own code asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

_FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
_WIDE = (torch.float64, torch.float32)
_NAMED = {
    "double": torch.float64,
    "float": torch.float32,
    "half": torch.float16,
    "bfloat16": torch.bfloat16,
}


class _OneType(TorchFunctionMode):  # type: ignore[misc]  # mypy does not follow torch
    """Puts `dtype` in the place of every floating type that a call of torch names."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype
        # In half precision a module may widen where it has to: only float64 is never meant.
        self._replaced = _FLOATING if dtype in _WIDE else (torch.float64,)

    def __torch_function__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        asked = _NAMED.get(getattr(function, "__name__", ""))
        if asked in self._replaced and args and isinstance(args[0], torch.Tensor):
            return args[0].to(self._dtype)
        given = {name: self._chosen(value) for name, value in (kwargs or {}).items()}
        return function(*(self._chosen(value) for value in args), **given)

    def _chosen(self, value: Any) -> Any:
        return self._dtype if isinstance(value, torch.dtype) and value in self._replaced else value


@contextmanager
def one_type(dtype: torch.dtype) -> Iterator[None]:
    """Within it `.double()`, `.float()`, `.to(torch.float32)`, `dtype=torch.float64` all mean `dtype`."""
    with _OneType(dtype):
        yield
