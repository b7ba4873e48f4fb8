"""Reading models: older operator sets, every spelling of a model, and files that are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ModelError
from fluxpath.export import gradient_from_onnx


def old(opset: int) -> onnx.ModelProto:
    """The classifier as exporters of that time wrote it: attributes where inputs are today."""
    header = (
        f'<ir_version: 4, opset_import: ["": {opset}]> graph (float[batch,3,4,4] x) => (float[batch,5] y)'
    )
    unsqueeze = "Unsqueeze<axes=[2]>(m) q = Squeeze<axes=[2]>(u)"
    if opset >= 13:
        unsqueeze = "Unsqueeze(m, two) q = Squeeze(u, two)"
    text = (
        f"{header} {{ c = Conv<pads=[1, 1, 1, 1]>(x, w, b) k = Clip(c, low, high) "
        f"n = BatchNormalization(k, b, b, b, var) m = ReduceMean<axes=[2, 3], keepdims=0>(n) u = {unsqueeze} "
        f"y = Gemm(q, v) }}"
    )
    model = onnx.parser.parse_model(text)
    rng = np.random.default_rng(0)
    shapes = {"w": (4, 3, 3, 3), "b": (4,), "v": (4, 5)}
    arrays = {k: rng.standard_normal(s).astype(np.float32) for k, s in shapes.items()}
    arrays |= {"low": np.float32(-0.4), "high": np.float32(0.9), "var": np.ones(4, np.float32)}
    if opset >= 13:
        arrays["two"] = np.array([2])
    for name, array in arrays.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    return model


@pytest.mark.parametrize("opset", [11, 12, 13, 14, 17])
def test_older_operator_sets_are_converted(tmp_path: Path, opset: int) -> None:
    exported = small.export(old(opset), tmp_path)
    assert exported.manifest.opset >= 18
    assert exported.verification.error < 1e-4
    x = small.images(2)
    expected = small.run(old(opset), x)["y"]
    np.testing.assert_allclose(small.run(exported.path, x, 1)["y"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("opset", range(18, 24))
def test_newer_operator_sets_stay(tmp_path: Path, opset: int) -> None:
    exported = small.export(small.cnn(opset=opset), tmp_path)
    assert exported.manifest.opset == opset
    (imported,) = onnx.load(exported.path).opset_import
    assert (imported.domain, imported.version) == ("", opset)


def test_an_operator_set_that_cannot_be_converted(tmp_path: Path) -> None:
    """Upsample was replaced by Resize in opset 10 and has no exact counterpart in every case."""
    model = small.cnn(opset=17)
    model.graph.node[1].op_type = "Upsample"
    model.graph.node[1].input.append("scales")
    scales = np.array([1, 1, 2, 2], np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(scales, "scales"))
    with pytest.raises(ModelError, match=r"valid ONNX model|opset 17 and cannot be converted"):
        small.export(model, tmp_path)


def same_gradient(tmp_path: Path, model: onnx.ModelProto) -> None:
    x = small.images(2)
    plain = small.run(small.export(small.cnn(), tmp_path).path, x, 1)
    path = small.export(model, tmp_path).path
    for name, value in small.run(path, x, 1).items():
        np.testing.assert_allclose(value, plain[name], rtol=1e-6, atol=1e-7)


def test_weights_as_constant_nodes(tmp_path: Path) -> None:
    model = small.cnn()
    for tensor in model.graph.initializer:
        node = onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        model.graph.node.insert(0, node)
    del model.graph.initializer[:]
    same_gradient(tmp_path, model)


def test_weights_that_are_listed_as_inputs(tmp_path: Path) -> None:
    """As all exporters did before IR version 4."""
    model = small.cnn()
    for tensor in model.graph.initializer:
        value = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        model.graph.input.append(value)
    same_gradient(tmp_path, model)
    assert len(onnx.load(tmp_path / "model.grad.onnx").graph.input) == 2


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    source = tmp_path / "external.onnx"
    onnx.save(small.cnn(), source, save_as_external_data=True, location="weights.bin", size_threshold=0)
    path = gradient_from_onnx(source, tmp_path / "external.grad.onnx").path
    (tmp_path / "weights.bin").unlink()
    x = small.images(2)
    plain = small.run(small.export(small.cnn(), tmp_path).path, x, 1)
    np.testing.assert_array_equal(small.run(path, x, 1)["gradient"], plain["gradient"])
    with pytest.raises(ModelError, match=r"external\.onnx' is not a valid ONNX model"):
        gradient_from_onnx(source, path)


def test_nodes_without_names_and_with_equal_ones(tmp_path: Path) -> None:
    for name in ("", "node"):
        model = small.cnn()
        for node in model.graph.node:
            node.name = name
        same_gradient(tmp_path, model)


def test_dead_ends_are_left_out(tmp_path: Path) -> None:
    model = small.cnn()
    model.graph.node.append(onnx.helper.make_node("Tanh", ["r"], ["nobody"]))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(10000, np.float32), "unread"))
    same_gradient(tmp_path, model)
    path = tmp_path / "model.grad.onnx"
    assert path.stat().st_size < 20000
    assert "Tanh" not in {n.op_type for n in onnx.load(path).graph.node}


def test_the_source_is_not_changed(tmp_path: Path) -> None:
    source = tmp_path / "model.onnx"
    onnx.save(small.cnn("y = Softmax(z)"), source)
    before = source.read_bytes()
    gradient_from_onnx(source, tmp_path / "out.onnx")
    assert source.read_bytes() == before


# ---- files that are no model

GOOD = small.cnn().SerializeToString()
FILES = {
    "empty": b"",
    "text": b"this is not a model\n",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07fluxpath\x94.",
    "zeros": bytes(1000),
    "cut in the middle": GOOD[: len(GOOD) // 2],
    "cut by a byte": GOOD[:-1],
    "cut to its start": GOOD[:20],
    "with a tail": GOOD + b"\xff\xff\xff",
    "graphless": onnx.ModelProto(ir_version=10).SerializeToString(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("suffix", ["onnx", "json", "textproto", "onnxtxt", "pt"])
def test_files_that_are_no_model(tmp_path: Path, name: str, suffix: str) -> None:
    """Whatever they are called: the ending does not choose another parser."""
    source = tmp_path / f"model.{suffix}"
    source.write_bytes(FILES[name])
    with pytest.raises(ModelError, match=rf"model\.{suffix}' is not a valid ONNX model: .") as e:
        gradient_from_onnx(source, tmp_path / "out.onnx")
    assert "\n" not in str(e.value)
    assert not (tmp_path / "out.onnx").exists()


def test_a_model_of_any_name_is_read(tmp_path: Path) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(GOOD)
    assert gradient_from_onnx(str(source), str(tmp_path / "out.onnx")).path == tmp_path / "out.onnx"


def test_models_that_are_not_whole(tmp_path: Path) -> None:
    unsorted, twice, typeless, endless, closed = (small.cnn() for _ in range(5))
    nodes = list(unsorted.graph.node)
    del unsorted.graph.node[:]
    unsorted.graph.node.extend(reversed(nodes))
    twice.graph.node[1].output[0] = "c"
    typeless.graph.input[0].ClearField("type")
    del endless.graph.output[:]
    closed.graph.node[0].input[0] = "w"
    del closed.graph.input[:]
    for model in (unsorted, twice, typeless, endless, closed):
        with pytest.raises(ModelError) as e:
            small.export(model, tmp_path)
        assert "\n" not in str(e.value)


def test_places_without_a_model(tmp_path: Path) -> None:
    for source in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(ModelError, match=f"there is no model file '{source}'"):
            gradient_from_onnx(source, tmp_path / "out.onnx")


def test_a_file_of_a_newer_form_than_its_operators_need(tmp_path: Path) -> None:
    """As tools write it that are newer than the runtimes."""
    model = small.cnn()
    model.ir_version = onnx.IR_VERSION
    done = small.export(model, tmp_path)
    assert onnx.load(done.path).ir_version <= 10


def calls(depth: int, each: int) -> list[onnx.FunctionProto]:
    """Functions of which each calls the one before it `each` times."""
    own = [onnx.helper.make_opsetid("", 20), onnx.helper.make_opsetid("local", 1)]
    functions = []
    for level in range(depth):
        names = [f"v{k}" for k in range(each)] if level else ["v0"]
        steps = [
            onnx.helper.make_node(f"F{level - 1}", [a], [b], domain="local")
            if level
            else onnx.helper.make_node("Relu", [a], [b])
            for a, b in zip(names, [*names[1:], "out"], strict=True)
        ]
        functions.append(onnx.helper.make_function("local", f"F{level}", ["v0"], ["out"], steps, own))
    return functions


@pytest.mark.parametrize("depth", [4, 12, 60])
def test_functions_that_hold_more_nodes_than_memory(tmp_path: Path, depth: int) -> None:
    model = small.cnn("wide = Relu(z) y = Relu(wide)")
    (node,) = [n for n in model.graph.node if n.output[0] == "wide"]
    node.op_type, node.domain = f"F{depth - 1}", "local"
    model.opset_import.append(onnx.helper.make_opsetid("local", 1))
    model.functions.extend(calls(depth, 4))
    if depth == 4:
        assert small.export(model, tmp_path).verification.error < 1e-3
        return
    with pytest.raises(ModelError, match="nodes once its functions are written out"):
        small.export(model, tmp_path)
