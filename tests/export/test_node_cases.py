"""Every rule on every node test of the ONNX standard, against central differences in float64.

A case is differentiated along each of its float inputs in two forms: with all shapes and other inputs
known, where the rule must work, and with none of them known, where it must be right or refuse.
"""

from __future__ import annotations

import functools
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gradcheck
import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as common
import plain_operators
import pytest
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests
from onnx.reference import ReferenceEvaluator

from fluxpath.errors import ModelError, UnsupportedOperatorError
from fluxpath.export.autodiff import differentiate
from fluxpath.export.builder import Builder
from fluxpath.export.reading import load
from fluxpath.export.rules import supported_operators
from fluxpath.export.verification.double import to_float64

STEP, TOLERANCE = 1e-7, 1e-5
PLAIN = plain_operators.ALL

SKIPPED: dict[str, str] = {
    r"test_training_dropout(_default)?(_mask)?": "every run drops other elements",
    r"test_maxunpool_export_with_output_shape": "runtimes disagree on the meaning of such indices",
    r"test_mod_float_edge_cases_.*": "infinities, NaN and quotients at the edge of an integer",
    r"test_reshape_allowzero_reordered": "an empty tensor of a shape that is only known at run time",
    r"test_resize_(up|down)sample_sizes_nearest_not_(larger|smaller)": "refused: keeps the aspect ratio",
    r"test_scatter_elements_with_reduction_(mul|max|min)": "refused: only the reductions none and add",
    r"test_scatternd_(multiply|max|min)(_with_element_indices)?": "refused: only the reductions none and add",
    r"test_roialign_mode_max": "refused: only averages",
    r"test_attention_.*_softmax_precision.*": "onnx.reference computes in float32 there",
    r"test_causal_conv_with_state_.*(silu|swish).*": "onnx.reference computes in float32 there",
    r"test_attention_.*_qk_matmul_bias_.*_causal": "an output of negative infinities",
}
"""Cases (regular expressions of whole names) that say nothing about a rule, and why."""

EXPANDED = {
    "Attention": 10,
    "CastLike": 5,
    "CausalConvWithState": 2,
    "CenterCropPad": 1,
    "NegativeLogLikelihoodLoss": 2,
    "RotaryEmbedding": 1,
    "SoftmaxCrossEntropyLoss": 2,
}
"""Operators that are differentiated by their definitions; of so many cases one is taken."""

tally: dict[str, Counter[str]] = {}


@functools.cache
def cases() -> dict[str, list[TestCase]]:
    """The standard's tests of a single node, by operator."""
    found: dict[str, list[TestCase]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = load_model_tests(kind="node")
    for case in loaded:
        if case.model is None or len(case.model.graph.node) != 1:
            continue
        node = case.model.graph.node[0]
        if node.domain == "":
            found.setdefault(node.op_type, []).append(case)
    return found


@dataclass(frozen=True)
class Probe:
    """One output of a case as a function of one input, the others given at export or at run time."""

    case: TestCase
    slot: int
    output: int
    known: bool

    def model(self) -> onnx.ModelProto:
        """The graph, at the oldest opset that fluxpath takes or a later one."""
        model = onnx.ModelProto()
        model.CopyFrom(self.case.model)
        graph = model.graph
        model.ir_version = 10
        for opset in model.opset_import:
            opset.version = max(opset.version, load.OLDEST_OPSET)
        (x, others), y = self._inputs(), graph.output[self.output]
        declared = {v.name: v for v in graph.input}
        del graph.input[:], graph.output[:]
        graph.output.append(y)
        graph.input.append(declared[x])
        for name, value in others.items():
            if self.known:
                graph.initializer.append(onnx.numpy_helper.from_array(value, name))
            else:
                graph.input.append(declared[name])
        if not self.known:
            for i, value in enumerate([*graph.input, y]):
                for j, dim in enumerate(value.type.tensor_type.shape.dim):
                    dim.dim_param = f"d{i}_{j}"
        return model

    def _inputs(self) -> tuple[str, dict[str, np.ndarray]]:
        names = [v.name for v in self.case.model.graph.input]
        given = dict(zip(names, _arrays(self.case.data_sets[0][0]), strict=True))
        x = names[self.slot]
        given.pop(x)
        return x, given

    def feeds(self) -> tuple[str, dict[str, np.ndarray]]:
        """The name of x and every graph input in float64; x is finite and a little off kinks and ties."""
        name, others = self._inputs()
        x = np.asarray(_arrays(self.case.data_sets[0][0])[self.slot], np.float64)
        rng = np.random.default_rng(3)
        x = np.where(np.isfinite(x), x, rng.standard_normal(x.shape))
        x = x * (1 + 0.01 * rng.random(x.shape)) + 0.01 * rng.random(x.shape)
        return name, {name: x, **({} if self.known else {n: _wide(v) for n, v in others.items()})}


def _arrays(values: list[Any]) -> list[Any]:
    """The tests of Cast hold protobufs."""
    return [onnx.numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for v in values]


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.generic) and value.dtype.name in (
        "float16",
        "float32",
        "float64",
        "bfloat16",
    )


def _wide(value: np.ndarray) -> np.ndarray:
    return value.astype(np.float64) if _is_float(value) else value


def probes(case: TestCase) -> Iterator[Probe]:
    """Every pair of a float input and a float output, in both forms."""
    inputs, outputs = map(_arrays, case.data_sets[0])
    for slot, x in enumerate(inputs):
        for output, y in enumerate(outputs):
            if _is_float(x) and _is_float(y):
                yield from (Probe(case, slot, output, known) for known in (True, False))


def gradient_graph(forward: onnx.ModelProto) -> onnx.ModelProto:
    """The inputs and `seed` to y and `gradient`, valid by the standard in shapes and types."""
    model = gradcheck.inferred(load.prepare(forward))
    x, (y,) = model.graph.inputs[0], model.graph.outputs
    seed = ir.Value(name="seed", type=y.type, shape=y.shape)
    model.graph.inputs.append(seed)
    op = Builder(model.graph)
    gradient = op("Identity", differentiate(op, y, seed, x, model.opset_imports[""]))
    gradient.name, gradient.shape = "gradient", x.shape
    model.graph.outputs.append(gradient)
    written = ir.to_proto(common.RemoveUnusedNodesPass()(model).model)
    onnx.checker.check_model(written)
    if _is_inferred(forward):
        onnx.shape_inference.infer_shapes(written, check_type=True, strict_mode=True)
    return written


def _is_inferred(forward: onnx.ModelProto) -> bool:
    """Whether the standard's own shape inference copes with the operator itself."""
    try:
        onnx.shape_inference.infer_shapes(forward, check_type=True, strict_mode=True)
    except onnx.shape_inference.InferenceError:
        return False
    return True


def check(probe: Probe) -> None:
    """AssertionError unless the gradient is right; the errors of export pass through."""
    forward = probe.model()
    both = _evaluator(gradient_graph(forward))
    run = _evaluator(forward)
    name, feeds = probe.feeds()
    rng = np.random.default_rng(4)
    y = run(feeds)[0]
    seed = rng.standard_normal(y.shape)
    gradient = both({**feeds, "seed": seed})[1]
    x = feeds[name]
    _require(gradient.shape == x.shape, f"a gradient of shape {gradient.shape} for an input of {x.shape}")
    _require(gradient.dtype == np.float64, f"a gradient of type {gradient.dtype}")
    if not x.size:
        return
    _require(bool(np.isfinite(y).all()), "the output is not finite")
    v = rng.standard_normal(x.shape)
    ahead, behind = (run({**feeds, name: x + sign * STEP * v})[0] for sign in (1.0, -1.0))
    true, given = ((ahead - behind) * seed).sum() / (2 * STEP), (gradient * v).sum()
    scale = max(np.linalg.norm(gradient), np.linalg.norm(seed) * 1e-3)
    _require(abs(given - true) <= TOLERANCE * scale, f"{given:.7g} where the slope is {true:.7g}")


def _require(condition: bool, message: str) -> None:
    """An assertion without pytest's account of its parts: there may be dozens in one test."""
    if not condition:
        raise AssertionError(message)


def _evaluator(model: onnx.ModelProto) -> Any:
    evaluator = ReferenceEvaluator(to_float64(ir.from_proto(model)), new_ops=PLAIN)

    def run(feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return evaluator.run(None, feeds)

    return run


def _concerns(case: TestCase) -> bool:
    """Whether the case says something about a rule."""
    skipped = any(re.fullmatch(pattern, case.name) for pattern in SKIPPED)
    return not skipped and not _is_older(case) and next(probes(case), None) is not None


def _is_older(case: TestCase) -> bool:
    """Whether the case tests an operator's version from before the oldest opset that fluxpath takes."""
    version = next(o.version for o in case.model.opset_import if o.domain == "")
    if version >= load.OLDEST_OPSET:
        return False
    newest = onnx.defs.get_schema(case.model.graph.node[0].op_type, load.OLDEST_OPSET)
    return newest.since_version > version


def _has_no_gradient(error: Exception) -> bool:
    """Whether a rule says that this input has none, or that only output 0 has one."""
    return bool(
        re.search(r"no derivative along its input|outputs other than its first|does not depend", str(error))
    )


@pytest.mark.parametrize("operator", [*supported_operators(), *EXPANDED])
def test_operator(operator: str) -> None:
    counts = tally.setdefault(operator, Counter())
    wrong = []
    for case in cases().get(operator, [])[:: EXPANDED.get(operator, 1)]:
        if not _concerns(case):
            counts["skipped"] += 1
            continue
        before = len(wrong)
        passed = False
        for probe in probes(case):
            where = f"{case.name}, input {probe.slot}, output {probe.output}, known={probe.known}"
            try:
                check(probe)
                passed = True
            except (UnsupportedOperatorError, ModelError) as error:
                if probe.known and not (probe.slot + probe.output and _has_no_gradient(error)):
                    wrong.append(f"{where}: {error}")
            except Exception as error:
                wrong.append(f"{where}: {type(error).__name__}: {error}")
        counts["passed"] += passed and len(wrong) == before
    _require(not wrong, "\n".join(wrong))


def test_coverage(capsys: pytest.CaptureFixture[str]) -> None:
    if len(tally) < len(supported_operators()) + len(EXPANDED):
        pytest.skip("counts the operators' tests, and some of them did not run")
    checked = [name for name, counts in tally.items() if counts["passed"]]
    total = sum(counts["passed"] for counts in tally.values())
    with capsys.disabled():
        print(
            f"\noperators with a rule: {len(supported_operators())}, expanded: {len(EXPANDED)}, "
            f"checked: {len(checked)}, node tests passed: {total}"
        )
    missed = [
        name for name in set(tally) - set(checked) if any(_concerns(case) for case in cases().get(name, []))
    ]
    assert not missed, f"no test of {missed} passed"
