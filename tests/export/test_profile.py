"""Nodes as ONNX Runtime ran them, mapped back to what wrote them."""

from __future__ import annotations

import onnx
import pytest
from small import cnn, export

from fluxpath.export.accounting.rates import Rates
from fluxpath.export.cost import of_model, read
from fluxpath.export.profile import COPY, MATRIX, NEITHER, RUNTIME, explained
from fluxpath.profile import NodeTime
from fluxpath.runtime import profiling

RATES = Rates(flops=1e9, copies=((1, 1e9),))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile")
    export(cnn(), folder)
    return folder / "model.grad.onnx"


def mapped(path, times, rates=RATES, batch=2):
    model, logits = read(path)
    cost = of_model(model, logits, batch)
    return explained(times, model.graph, cost, rates)


def test_every_node_that_ran_is_told_from_its_name(path, monkeypatch):
    """Fused and blocked ones too: a Conv with its Relu, backward products, the copies between."""
    monkeypatch.setattr(profiling, "SECONDS", 0.0)
    found = mapped(path, profiling.profiled(path, 2, threads=1))
    assert {e.time.op_type for e in found if e.writer == RUNTIME} <= {"ReorderInput", "ReorderOutput"}
    convolutions = [e for e in found if e.time.op_type == "Conv"]
    assert {(e.writer, e.backward) for e in convolutions} == {("Conv", False), ("Conv", True)}
    assert {e.flops for e in convolutions} == {2 * 2 * 16 * 4 * 27}
    assert {e.writer for e in found if e.backward} >= {
        "Conv",
        "Gemm",
        "Relu",
        "GlobalAveragePool",
        "objective",
    }
    assert sum(e.share for e in found) == pytest.approx(1.0)
    assert [e.time.seconds for e in found] == sorted((e.time.seconds for e in found), reverse=True)


@pytest.mark.parametrize("ending", ["", "_nchwc", "/MatmulTransposeFusion//MatMulScaleFusion/", "_token_12"])
def test_what_fusions_append_to_a_name(path, ending):
    name = next(n.name for n in onnx.load(path).graph.node if n.name.startswith("fluxpath/Gemm/"))
    (entry,) = mapped(path, [NodeTime(name + ending, "Gemm", 1.0, (2, 4), 40, 32, 0)])
    assert (entry.writer, entry.backward, entry.flops) == ("Gemm", True, 2 * 2 * 4 * 5)


def test_a_node_that_is_not_in_the_file(path):
    (entry,) = mapped(path, [NodeTime("ReorderInput_token_3", "ReorderInput", 1.0, (2, 4), 40, 32, 0)])
    assert (entry.writer, entry.backward, entry.flops, entry.bytes) == (RUNTIME, None, 0, 72)


def test_what_bounds_a_node(path):
    model, _ = read(path)
    conv = next(str(n.name or n.outputs[0].name) for n in model.graph if n.op_type == "Conv")
    work = 2 * 2 * 16 * 4 * 27 / RATES.flops
    for seconds, moved, bound in ((1.5 * work, 0, MATRIX), (3 * work, 0, NEITHER), (0.9, 10**9, COPY)):
        (entry,) = mapped(path, [NodeTime(conv, "Conv", seconds, (2, 4, 4, 4), moved, 0, 0)])
        assert entry.bound == bound


def test_names_make_files_no_less_the_same_again(path, tmp_path):
    export(cnn(), tmp_path)
    assert (tmp_path / "model.grad.onnx").read_bytes() == path.read_bytes()
    names = [n.name for n in onnx.load(path).graph.node]
    assert len(set(names)) == len(names) and all(names)
