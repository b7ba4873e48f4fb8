"""`fluxpath info --cost`, `--profile` and `--json`."""

from __future__ import annotations

import json

import onnx
import pytest
from models import relu
from small import cnn, export

from fluxpath.cli import main
from fluxpath.export import attribution_from_onnx
from fluxpath.export.accounting import rates
from fluxpath.runtime import profiling


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("info")
    onnx.save(relu(), path / "model.onnx")
    assert main(["export", str(path / "model.onnx"), "-o", str(path / "model.grad.onnx")]) == 0
    return path


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    for module in (profiling, rates):
        monkeypatch.setattr(module, "SECONDS", 0.0)


def told(capsys, *arguments):
    capsys.readouterr()
    assert main(["info", *map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_json_has_the_same_figures_as_the_text(folder, capsys):
    found = json.loads(
        told(capsys, folder / "model.grad.onnx", "--json", "--cost", "--profile", "--evaluations", "50")
    )
    assert found["file"]["objective"] == "softmax" and found["verified"]
    assert found["file"]["explained"].startswith("the output '")
    one, eight = found["cost"]["batches"]
    assert (one["batch"], eight["batch"]) == (1, 8)
    for entry in (one, eight):
        assert entry["flops"] == sum(k["flops"] for k in entry["operators"])
        assert entry["bytes"] == sum(k["read"] + k["written"] for k in entry["operators"])
        ideal = sum(entry["ideal_seconds"].values())
        assert entry["share_of_ideal"] == pytest.approx(ideal / entry["seconds"])
        assert entry["all_evaluations"]["flops"] == 50 * entry["flops"]
    assert eight["flops"] == 8 * one["flops"]
    assert {k["part"] for k in one["operators"]} == {"forward", "backward"}
    assert {node["batch"] for node in found["profile"]} == {8}
    assert sum(node["share"] for node in found["profile"]) == pytest.approx(1)


def test_text(folder, capsys):
    text = told(capsys, folder / "model.grad.onnx", "--cost", "--profile", "--batch", "2", "--threads", "1")
    assert "GFLOP/s in a matrix product" in text and "of the ideal" in text
    assert "10 costliest" in text and "2 samples" in text
    assert "MiB for each slot" in text


def test_json_of_the_file_alone(folder, capsys):
    found = json.loads(told(capsys, folder / "model.grad.onnx", "--json"))
    assert set(found) == {"file", "verified"} and "FLOP" in found["file"]["arithmetic"]


def test_what_an_operator_computes_that_is_not_counted(tmp_path, capsys):
    onnx.save(onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        three (float[batch, 2] x) => (float[batch, 3] logits) <float[2, 3] w = {1, 2, 3, 4, 5, 6}> {
            logits = Einsum<equation = "bi,ij,bi->bj">(x, w, x)
        }"""), tmp_path / "m.onnx")  # fmt: skip
    assert main(["export", str(tmp_path / "m.onnx"), "-o", str(tmp_path / "g.onnx")]) == 0
    text = told(capsys, tmp_path / "g.onnx", "--cost", "--threads", "1")
    assert "at least 0 GFLOP" in text and text.endswith("or how much an operator computes\n")


@pytest.mark.parametrize("shapes", ["x[batch, 6], mask[batch, n]", "x[batch, n], mask[batch, 6]"])
def test_sizes_that_are_open_leave_out_the_memory_of_a_slot_alone(shapes, tmp_path, capsys):
    x, mask = (f"float[batch, {end}" for end in shapes.replace("x[batch, ", "").split(", mask[batch, "))
    onnx.save(onnx.parser.parse_model(f"""<ir_version: 8, opset_import: ["" : 17]>
        open ({x} x, {mask} mask) => (float[batch, 3] logits) <float[1, 3] w = {{1, 2, 3}}> {{
            a = ReduceMean<axes = [1], keepdims = 1>(x)
            b = ReduceMean<axes = [1], keepdims = 1>(mask)
            c = Mul(a, b)
            logits = MatMul(c, w)
        }}"""), tmp_path / "m.onnx")  # fmt: skip
    graph = tmp_path / "g.onnx"
    assert main(["export", str(tmp_path / "m.onnx"), "-o", str(graph), "--input", "x"]) == 0
    text = told(capsys, graph)
    assert "GFLOP per sample" in text and "objective" in text and "MiB for each slot" not in text


@pytest.mark.parametrize("option", ["--cost", "--profile"])
def test_what_cannot_be_told_is_said_in_one_sentence(folder, tmp_path, capsys, option, monkeypatch):
    export(cnn(dims="batch,3,h,w"), tmp_path)
    whole = tmp_path / "whole.onnx"
    attribution_from_onnx(folder / "model.onnx", whole, method="integrated-gradients", settings={"steps": 2})
    capsys.readouterr()
    for file, said in ((tmp_path / "model.grad.onnx", "leaves sizes"), (whole, "whole method")):
        assert main(["info", str(file), option]) == 1
        printed = capsys.readouterr()
        assert said in printed.err and printed.err.count("\n") == 1 and not printed.out


def test_without_onnx_it_says_what_to_install(folder, capsys, monkeypatch):
    import sys

    for name in [n for n in sys.modules if n.startswith("fluxpath.export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    capsys.readouterr()
    assert main(["info", str(folder / "model.grad.onnx"), "--cost"]) == 1
    assert "fluxpath[export]" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--batch", "--evaluations", "--threads"])
def test_numbers_that_are_none(folder, capsys, option):
    assert main(["info", str(folder / "model.grad.onnx"), option, "0"]) == 1
    assert "must be 1 or more" in capsys.readouterr().err
