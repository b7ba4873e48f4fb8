"""Writes a torch module as ONNX with torch's own exporters, the newest first."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest import mock

import onnx
import torch

from fluxpath.export.torch_module.spelling import spelled_out, with_plain_weights
from fluxpath.export.torch_module.subject import Subject

OPSET = 20
"""The operator set asked of the exporters: what the rules are tested with most."""


@dataclass(frozen=True)
class Attempt:
    """One way to export: torch's newer or older exporter, fused attention as it is or written out."""

    newer: bool
    plain_attention: bool
    single: bool = False
    """Float32 throughout, also where the module's own code asks for float64."""

    def __str__(self) -> str:
        exporter = "torch.export" if self.newer else "the older TorchScript exporter"
        attention = " with attention written out" if self.plain_attention else ""
        return exporter + attention + (" in float32 throughout" if self.single else "")


def attempts(module: torch.nn.Module) -> list[Attempt]:
    """The ways to try, in order."""
    with plain_attention(module) as found:
        ways = (False, True) if found else (False,)
    return [
        Attempt(newer, plain, single) for single in (False, True) for newer in (True, False) for plain in ways
    ]


def to_onnx(subject: Subject, attempt: Attempt, opset: int = OPSET) -> onnx.ModelProto:
    """The subject as an ONNX model with a dynamic batch; raises whatever torch's exporter raises."""
    if attempt.single:
        call = copy.deepcopy(subject.call).float()
        call.dtype = torch.float32
        subject = replace(subject, call=call)
    subject = replace(subject, call=with_plain_weights(subject.call))
    with (
        spelled_out(),
        plain_attention(subject.call) if attempt.plain_attention else _unchanged(),
        quiet(),
        torch.no_grad(),
    ):
        proto = _newer(subject, opset) if attempt.newer else _older(subject, opset)
    return _with_names(proto, subject.names)


def _neutral(names: Sequence[str]) -> list[str]:
    """Names that no value of an exported graph has, in place of those of the module's arguments."""
    return [f"fluxpath_input_{i}" for i in range(len(names))]


def _with_names(proto: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """Call the inputs by the module's names; an inner value of such a name makes way.

    torch calls inner values by their operators, and so may a module its arguments: `cat`, `conv2d`.
    """
    given = dict(zip(_neutral(names), names, strict=True))
    if any(entry.name not in given for entry in proto.graph.input):
        return proto
    for name in names:
        given[name] = f"model/{name}"
    _rename(proto.graph, given)
    return proto


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for entry in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        entry.name = names.get(entry.name, entry.name)
    for node in graph.node:
        node.input[:] = [names.get(n, n) for n in node.input]
        node.output[:] = [names.get(n, n) for n in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, names)


def _newer(subject: Subject, opset: int) -> onnx.ModelProto:
    batch = torch.export.Dim("batch")
    # The batch of the example is 2: torch.export takes a batch of 1 for a constant.
    program = torch.onnx.export(
        subject.call,
        subject.rows(2),
        dynamo=True,
        dynamic_shapes={"values": tuple({0: batch} for _ in subject.names)},
        input_names=_neutral(subject.names),
        output_names=["logits"],
        opset_version=opset,
        verbose=False,
    )
    assert program is not None
    proto: onnx.ModelProto = program.model_proto
    return proto


def _older(subject: Subject, opset: int) -> onnx.ModelProto:
    buffer = io.BytesIO()
    torch.onnx.export(
        subject.call,
        subject.rows(2),
        buffer,
        dynamo=False,
        dynamic_axes={name: {0: "batch"} for name in (*_neutral(subject.names), "logits")},
        input_names=_neutral(subject.names),
        output_names=["logits"],
        opset_version=min(opset, OPSET),
    )
    return onnx.load_model_from_string(buffer.getvalue())


@contextmanager
def plain_attention(module: torch.nn.Module) -> Iterator[bool]:
    """Attention as MatMul, Softmax, MatMul where transformers or timm leave the choice; says if any does."""
    switched: list[tuple[object, str, object]] = []
    for part in module.modules():
        config = getattr(part, "config", None)
        kind = getattr(config, "_attn_implementation", None)
        if config is not None and kind not in (None, "eager"):
            switched.append((config, "_attn_implementation", kind))
            config._attn_implementation = "eager"
        if getattr(part, "fused_attn", False) is True:
            switched.append((part, "fused_attn", True))
            part.fused_attn = False
    try:
        yield bool(switched)
    finally:
        for owner, name, value in switched:
            setattr(owner, name, value)


@contextmanager
def _unchanged() -> Iterator[bool]:
    yield False


@contextmanager
def quiet() -> Iterator[None]:
    """Without torch's own warnings, and the graph that its older exporter prints where it fails.

    What matters of them comes back as an error or a note.
    """
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), mock.patch.object(torch._C, "_jit_onnx_log"):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
