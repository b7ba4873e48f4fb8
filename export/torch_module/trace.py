"""Traces a torch module and its input gradient into one graph of ATen operators, symbolic in the batch."""

from __future__ import annotations

import builtins
import copy
import keyword
import warnings

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.nn.attention import SDPBackend, sdpa_kernel

from fluxpath import manifest as contract
from fluxpath.errors import ModelError
from fluxpath.export.settings import Settings
from fluxpath.export.torch_module.batchnorm import fold_batchnorm
from fluxpath.export.torch_module.objectives import TORCH_OBJECTIVES, choose, compared
from fluxpath.export.torch_module.reference import normalised
from fluxpath.export.torch_module.subject import Subject, reason, refuse_branching

LOGITS = "logits"
OUTPUTS = (LOGITS, contract.SCORE, contract.LABEL, contract.GRADIENT, contract.SCALE)
"""What the graph returns, as a dict with these keys."""

_BATCH = 7
"""The batch that is traced. It stays a symbol: only what a module decides by comparing it sees the number."""

_ON_NUMBERS = {torch.sym_max: max, torch.sym_min: min, torch.sym_int: int, torch.sym_float: float}
"""What torch does to symbolic sizes, and what the script does to sizes, which are numbers."""


def trace(subject: Subject, settings: Settings) -> torch.fx.GraphModule:
    """`traced` in a form that torch.jit.script takes."""
    graph = traced(subject, settings)
    _prepare_for_scripting(graph)
    return graph


def traced(subject: Subject, settings: Settings, dtype: torch.dtype | None = None) -> torch.fx.GraphModule:
    """The gradient graph of `subject`: (explained input, target, further inputs) -> a dict of OUTPUTS.

    make_fx sees through torch.autograd.grad, so that forward and backward pass are one list of operators. It
    traces symbolic tensors, because real ones would leave the batch as a number in every view. dtype: the
    type of all numbers, in place of the settings'.
    """
    gradient = _Gradient(subject, settings, dtype)
    arguments = _symbolic(subject)
    try:
        # Fused attention is one operator on a CPU and another on a GPU; written out it runs on both.
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
            warnings.simplefilter("ignore")
            graph = make_fx(gradient, tracing_mode="symbolic")(*arguments)
    except ModelError:
        raise
    except Exception as error:  # whatever the module, its autograd or torch's tracer raise
        refuse_branching(error)
        raise ModelError(f"torch cannot trace the module's gradient: {reason(error)}") from error
    size = arguments[0].shape[0]
    if isinstance(size, int) or size.node.maybe_as_int() is not None:
        raise ModelError(
            "the module's code turns the batch size into a number, by len(x) or int(x.shape[0]) for one: use "
            "x.shape[0] as it is, or -1"
        )
    _clean(graph, [subject.input, contract.TARGET, *(c.name for c in subject.companions)])
    return graph


class _Gradient:
    """The function that is traced."""

    def __init__(self, subject: Subject, settings: Settings, dtype: torch.dtype | None) -> None:
        self._dtype: torch.dtype = dtype or getattr(torch, settings.precision)
        self._gradient: torch.dtype = dtype or getattr(torch, settings.gradient_dtype)
        self._objective: torch.dtype = dtype or torch.float32
        # On the CPU: a GPU has operators of its own, cuDNN's, that nothing else runs.
        self._call = copy.deepcopy(subject.call).to("cpu", self._dtype).requires_grad_(False)
        self._call.dtype = self._dtype
        self._explained = subject.explained
        self._binary = subject.binary(settings.objective)
        self._head = TORCH_OBJECTIVES[subject.effective(settings.objective)].head
        self._settings = settings

    def __call__(
        self, x: torch.Tensor, target: torch.Tensor, *companions: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        with torch.enable_grad():
            # The derivative has the type of what it is taken by.
            x = x.detach().to(self._gradient).requires_grad_()
            values = [v.to(self._dtype) if v.is_floating_point() else v for v in companions]
            values.insert(self._explained, normalised(x, self._settings).to(self._dtype))
            output = self._call(*values).to(self._objective)
            logits = compared(output, self._binary)
            label, onehot = choose(logits.detach(), target)
            head = self._head(logits.detach(), onehot)
            (gradient,) = torch.autograd.grad(logits, x, head.seed)
        scale = head.scale
        if not self._settings.factored:
            gradient = gradient * scale.reshape(-1, *[1] * (x.ndim - 1))
            scale = torch.ones_like(scale)
        results = (output.detach(), head.score, label, gradient, scale)
        return dict(zip(OUTPUTS, results, strict=True))


def _symbolic(subject: Subject) -> list[torch.Tensor]:
    """Tensors without data, whose first dimension is one symbol in all of them."""
    rows = [v.cpu() for v in subject.rows(_BATCH)]
    explained = rows.pop(subject.explained)
    mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
    target = torch.zeros(_BATCH, dtype=torch.int64)
    fakes = []
    for value in (explained, target, *rows):
        sizes = [DimDynamic.DUCK, *[DimDynamic.STATIC] * (value.ndim - 1)]
        context = StatelessSymbolicContext(dynamic_sizes=sizes)
        fakes.append(mode.from_tensor(value, symbolic_context=context))
    return fakes


def _clean(graph: torch.fx.GraphModule, names: list[str]) -> None:
    """Give the inputs their own names; refuse what no list of operators holds."""
    fold_batchnorm(graph)
    placeholders = [n for n in graph.graph.nodes if n.op == "placeholder"]
    taken = {n.name for n in graph.graph.nodes}
    for node, name in zip(placeholders, names, strict=True):
        # The file takes its inputs by position: a name that would hide another keeps torch's form.
        if name.isidentifier() and name not in {*taken, *keyword.kwlist, *dir(builtins), "torch", "self"}:
            node.target = node.name = name
            taken.add(name)
    for node in graph.graph.nodes:
        if isinstance(node.target, torch._ops.HigherOrderOperator):
            raise ModelError(
                f"operator {node.target.name()} of node '{node.name}' is control flow, which a traced "
                "gradient cannot hold: write it with torch.where"
            )
    graph.recompile()


def _prepare_for_scripting(graph: torch.fx.GraphModule) -> None:
    x = next(n for n in graph.graph.nodes if n.op == "placeholder")
    # Now, while the operators still have the schema that tells which of them write into what they are given.
    graph.graph.eliminate_dead_code()
    for node in list(graph.graph.nodes):
        if node.target in _ON_NUMBERS:
            node.target = _ON_NUMBERS[node.target]
        if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
            continue
        if node.target is torch.ops.aten.detach.default:
            node.replace_all_uses_with(node.args[0])
            graph.graph.erase_node(node)
        elif node.target is torch.ops.aten.sym_size.int:
            node.target = torch.ops.aten.size
        else:
            # Scripting resolves overloads itself, and knows them by their packet only.
            node.target = node.target.overloadpacket
            _follow_input(graph.graph, node, x)
    graph.recompile()


def _follow_input(graph: torch.fx.Graph, node: torch.fx.Node, x: torch.fx.Node) -> None:
    """A tensor that the graph makes goes where the input is, not where the example was."""
    if isinstance(node.kwargs.get("device"), torch.device):
        with graph.inserting_before(node):
            place = graph.call_function(getattr, (x, "device"))
        node.kwargs = {**node.kwargs, "device": place}
