"""Lets a module compute in one floating type, whatever types its own code asks for or asks after."""

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
_DTYPE = torch.Tensor.dtype.__get__
_TENSORS = {"DoubleTensor": torch.float64, "FloatTensor": torch.float32}
"""Types by their older names, as "torch.FloatTensor" or the class of that name."""


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
        name = getattr(function, "__name__", "")
        if function == _DTYPE:
            return self._told(function(*args))
        if name == "type":
            return self._typed(function, *args, **(kwargs or {}))
        asked = _NAMED.get(name)
        if asked in self._replaced and args and isinstance(args[0], torch.Tensor):
            return args[0].to(self._dtype)
        given = {name: self._chosen(value) for name, value in (kwargs or {}).items()}
        return function(*(self._chosen(value) for value in args), **given)

    def _told(self, dtype: torch.dtype) -> torch.dtype:
        """The type that a tensor has for the module's code, which was written for float32."""
        return torch.float32 if dtype == self._dtype and dtype in _WIDE else dtype

    def _typed(self, function: Any, tensor: torch.Tensor, dtype: Any = None, *args: Any, **given: Any) -> Any:
        """`tensor.type()`, which is told as well, and `tensor.type(dtype)`."""
        if dtype is None:
            wide = _DTYPE(tensor) == torch.float64 == self._dtype
            return function(tensor).replace("Double", "Float") if wide else function(tensor)
        named = str(getattr(dtype, "__name__", dtype)).rpartition(".")[2]
        return function(tensor, self._chosen(_TENSORS.get(named, dtype)), *args, **given)

    def _chosen(self, value: Any) -> Any:
        return self._dtype if isinstance(value, torch.dtype) and value in self._replaced else value


@contextmanager
def one_type(dtype: torch.dtype) -> Iterator[None]:
    """Within it `.double()`, `.float()`, `.to(torch.float32)`, `dtype=torch.float64` all mean `dtype`.

    Where that is float64, its tensors say that they are float32: code that asks goes its usual way.
    """
    with _OneType(dtype):
        yield
