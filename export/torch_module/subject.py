"""A torch module as a classifier: its inputs by name, an example, evaluation mode."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import torch
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from fluxpath.errors import FluxpathError, ModelError
from fluxpath.export.objectives import AMONG_CLASSES
from fluxpath.export.torch_module.logits import Logits
from fluxpath.manifest import COMPANION_DTYPES, Companion


@dataclass(frozen=True)
class Subject:
    """A module to compile: `call(*inputs)` are its logits, of which it has `outputs` a row.

    `names` are its inputs, `example` one row of each; `explained` is the place of the one to explain.
    """

    call: Logits
    names: tuple[str, ...]
    example: tuple[torch.Tensor, ...]
    explained: int
    outputs: int

    @property
    def input(self) -> str:
        """The name of the input to explain."""
        return self.names[self.explained]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape without the batch."""
        return tuple(self.example[self.explained].shape[1:])

    @property
    def companions(self) -> tuple[Companion, ...]:
        """The further inputs."""
        return tuple(
            Companion(name, _type_of(value), tuple(value.shape[1:]))
            for index, (name, value) in enumerate(zip(self.names, self.example, strict=True))
            if index != self.explained
        )

    def rows(self, count: int) -> tuple[torch.Tensor, ...]:
        """The example, its one row repeated."""
        return repeated(self.example, count)

    def binary(self, objective: str) -> bool:
        """Whether the one logit z stands for two classes with the logits 0 and z."""
        return self.outputs == 1 and objective != "logit"

    def classes(self, objective: str) -> int:
        """How many classes there are to choose a target from."""
        return 2 if self.binary(objective) else self.outputs

    def effective(self, objective: str) -> str:
        """The objective on the logits that are compared: the sigmoid of z is the softmax of (0, z)."""
        return "softmax" if self.binary(objective) and objective == "sigmoid" else objective


def subject_of(
    module: torch.nn.Module,
    example: Any,
    input: str | None = None,
    output: str | None = None,
    objective: str = "softmax",
) -> Subject:
    """Check `module` on the example; ModelError if it is not a classifier. Call it in evaluation mode.

    example: a tensor, a sequence of them, or a mapping of argument names to tensors, the batch first in each.
    objective: what is to be explained, of probabilities by their logarithms where classes are compared.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError("the module is TorchScript already: give the torch.nn.Module that it was made of")
    for name, part in module.named_modules():
        if ".quantized" in type(part).__module__:
            raise ModelError(
                f"the part '{name}' of the module, of type {type(part).__name__}, is quantised, and integers "
                "have no derivative: give the module as it was before"
            )
    names, values, by_keyword = _named(module, example)
    for name, value in zip(names, values, strict=True):
        if not isinstance(value, torch.Tensor):
            raise ModelError(
                f"the example's '{name}' is of type {type(value).__name__}, and must be a tensor"
            )
        if value.ndim < 1 or len(value) < 1 or _type_of(value) not in COMPANION_DTYPES:
            raise ModelError(
                f"the example's '{name}' is {_described(value)}, and must have one of the types "
                f"{', '.join(COMPANION_DTYPES)} and the batch as its first dimension{_narrow_advice(value)}"
            )
    rows = tuple(v.detach()[:1] for v in values)
    call = Logits(module, names if by_keyword else None, output)
    subject = Subject(call, names, rows, _explained(names, values, input), _outputs(call, rows))
    call.logarithms = objective in AMONG_CLASSES and _probable(subject)
    return subject


def repeated(rows: Sequence[torch.Tensor], count: int) -> tuple[torch.Tensor, ...]:
    """Tensors of one row as tensors of `count` equal ones."""
    return tuple(v.expand(count, *v.shape[1:]).contiguous() for v in rows)


def _named(module: torch.nn.Module, example: Any) -> tuple[tuple[str, ...], tuple[Any, ...], bool]:
    """The names and values of the inputs, and whether they are passed by name."""
    if isinstance(example, Mapping):
        return tuple(map(str, example)), tuple(example.values()), True
    values = tuple(example) if isinstance(example, tuple | list) else (example,)
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    known = [p.name for p in inspect.signature(module.forward).parameters.values() if p.kind in plain]
    names = [known[i] if i < len(known) else f"input{i}" for i in range(len(values))]
    return tuple(names), values, False


def _explained(names: Sequence[str], values: Sequence[torch.Tensor], wanted: str | None) -> int:
    if wanted is not None and wanted not in names:
        raise ModelError(f"the example has no input '{wanted}', it has {list(names)}")
    floats = [i for i, value in enumerate(values) if value.dtype == torch.float32]
    if wanted is None and len(names) > 1 and len(floats) != 1:
        raise ModelError(f"the example has the inputs {list(names)}: name the one to explain with input=")
    index = names.index(wanted) if wanted is not None else (floats or [0])[0]
    if values[index].dtype != torch.float32 or values[index].ndim < 2:
        raise ModelError(
            f"the example's '{names[index]}' is {_described(values[index])}, and the input to explain must "
            f"be float32 [batch, ...]{_narrow_advice(values[index])}"
        )
    return index


def _narrow_advice(value: torch.Tensor) -> str:
    other = value.is_floating_point() and value.dtype != torch.float32
    return ": give module.float() and example.float()" if other else ""


def _outputs(call: Logits, rows: Sequence[torch.Tensor]) -> int:
    """How many logits the module gives for a row, seen by running two."""
    try:
        with torch.no_grad():
            logits = call(*repeated(rows, 2))
    except ModelError:
        raise
    except Exception as error:  # whatever the module raises
        raise ModelError(f"the module fails on the example: {reason(error)}{_advice(call)}") from error
    if logits.ndim not in (1, 2) or len(logits) != 2 or not logits.is_floating_point():
        raise ModelError(
            f"the module gives {_described(logits)} for a batch of 2, and a classifier's logits must be "
            "floating point [batch, classes], or [batch]"
        )
    return int(logits.shape[1]) if logits.ndim == 2 else 1


def _probable(subject: Subject) -> bool:
    """Whether the module gives probabilities: rows that differ, are not negative, and all sum to one."""
    rows = list(subject.rows(4))
    given = rows[subject.explained]
    rows[subject.explained] = torch.rand(given.shape, generator=torch.Generator().manual_seed(0)).to(given)
    with torch.no_grad():
        own, logits, _ = subject.call.both(*rows)
    if logits is not own or own.ndim != 2 or subject.outputs < 2:
        return False
    varied = float((own.max(0).values - own.min(0).values).max())
    alike = bool((own.sum(1) - 1).abs().max() < 1e-5)
    return alike and varied > 1e-3 / subject.outputs and bool(own.min() >= 0)


def _advice(call: Logits) -> str:
    """What to do about parameters in another floating type than float32."""
    kinds = {_type_of(p) for p in call.parameters() if p.is_floating_point()} - {"float32"}
    if not kinds:
        return ""
    return f" (its parameters are {', '.join(sorted(kinds))}: give module.float(), and a float32 example)"


@contextmanager
def evaluating(module: torch.nn.Module) -> Iterator[None]:
    """`module` in evaluation mode and with gradients to be had; afterwards modes and buffers as they were.

    Nor does autocast change types, because the file says which it computes in; and torch's fused encoder
    layer, which has no derivative, is not used.
    """
    modes = [(part, part.training) for part in module.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in module.buffers()]
    fused = torch.backends.mha.get_fastpath_enabled()
    module.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.inference_mode(False), torch.enable_grad(), _without_autocast():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        for part, training in modes:
            part.training = training
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)


@contextmanager
def _without_autocast() -> Iterator[None]:
    """No effect of `torch.autocast` that the module's own code enters; torch has no switch for that."""
    with (
        mock.patch.object(torch.autocast, "__enter__", return_value=None),
        mock.patch.object(torch.autocast, "__exit__", return_value=None),
    ):
        yield


def digest_of(module: torch.nn.Module) -> str:
    """SHA-256 of the module's class name, parameters and buffers: the same weights, the same digest."""
    digest = hashlib.sha256(type(module).__qualname__.encode())
    for name, value in module.state_dict().items():
        if not isinstance(value, torch.Tensor):
            continue
        digest.update(f"\0{name}\0{value.dtype}\0{list(value.shape)}\0".encode())
        data = value.detach().cpu().contiguous().reshape(-1)
        digest.update(data.view(torch.uint8).numpy().tobytes() if data.numel() else b"")
    return "sha256:" + digest.hexdigest()


def reason(error: BaseException) -> str:
    """The first line of what an error began with, without terminal colours; or its class."""
    while error.__cause__ is not None and not isinstance(error, FluxpathError):
        error = error.__cause__
    lines = [line.strip() for line in re.sub(r"\x1b\[\d*m", "", str(error)).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def refuse_branching(error: BaseException) -> None:
    """ModelError if the `error` of torch's tracer is that the module looks at values to choose its way."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, GuardOnDataDependentSymNode | DataDependentOutputException):
            raise ModelError(
                "the module's code branches on the values that it computes, and a graph would keep one "
                "branch only: write it with torch.where"
            ) from error
        link = link.__cause__ or link.__context__


def _type_of(value: torch.Tensor) -> str:
    return str(value.dtype).removeprefix("torch.")


def _described(value: torch.Tensor) -> str:
    return f"{_type_of(value)} {list(value.shape)}"
