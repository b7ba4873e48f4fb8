"""A repository is written whole or not at all, and never over something else."""

from __future__ import annotations

import hashlib
import shutil

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from fluxpath.cli import main
from fluxpath.errors import ArtifactError, FluxpathError, InputError
from fluxpath.export import artifact as export_artifact
from fluxpath.export import attribution_from_gradient, attribution_from_onnx
from fluxpath.runtime.triton.options import Options
from fluxpath.runtime.triton.repository import write


@pytest.fixture(scope="module")
def files(graph, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    shutil.copy(graph("smooth"), folder / "one.grad.onnx")
    attribution_from_gradient(graph("smooth"), folder / "two.onnx", method="mfaba-sharp")
    wide = graph("smooth", input_range=(-3.0, 3.0))
    attribution_from_gradient(wide, folder / "wide.onnx", method="mfaba-sharp")
    data = bytearray(graph("smooth").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "damaged.onnx").write_bytes(data)
    (folder / "script.grad.pt").write_bytes(b"PK")
    return folder


def test_both_kinds_from_the_command_line(files, tmp_path, capsys):
    out = tmp_path / "below" / "out"
    assert main(["triton", str(files / "one.grad.onnx"), f"b:4={files / 'two.onnx'}", str(out)]) == 0
    assert "one, b" in capsys.readouterr().out
    found = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert found == [
        "b/4/model.onnx", "b/config.pbtxt", "b/warmup/input0", "b/warmup/input1",
        "one/1/model.grad.onnx", "one/1/model.py", "one/config.pbtxt",
    ]  # fmt: skip
    assert (out / "one/1/model.grad.onnx").read_bytes() == (files / "one.grad.onnx").read_bytes()
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize(
    ("models", "name", "error", "said"),
    [
        (["one.grad.onnx", "damaged.onnx"], None, ArtifactError, "truncated or was altered"),
        (["script.grad.pt"], None, InputError, "export the model to .onnx"),
        (["nothing.onnx"], None, ArtifactError, "there is no"),
        (["one.grad.onnx", "one=two.onnx"], None, InputError, "two models are called 'one' .*one:2=two.onnx"),
        (
            ["one:2=one.grad.onnx", "one:2=one.grad.onnx"],
            None,
            InputError,
            "'one' and have version 2: .*one:3=",
        ),
        (
            ["a:1=one.grad.onnx", "a:2=two.onnx"],
            None,
            InputError,
            "versions 1 and 2 of 'a' differ in backend, ",
        ),
        (["a:1=two.onnx", "a:2=wide.onnx"], None, InputError, "versions 1 and 2 of 'a' differ in range, "),
        (["a:01=two.onnx"], None, InputError, "a number from 1, .*not '01'"),
        (["a:" + 5000 * "1" + "=two.onnx"], None, InputError, "of 18 digits at most"),
        (
            ["one.grad.onnx", "two.onnx"],
            "x",
            InputError,
            "is of one model without a name, .*: write NAME=MODEL",
        ),
        (["y=one.grad.onnx"], "x", InputError, "is of one model without a name, and was given with y=one"),
        (["one.grad.onnx"], "a/b", InputError, "a model's name is"),
        ([], None, InputError, "no model was given"),
    ],
)
def test_nothing_is_left_of_what_cannot_be_written(files, tmp_path, monkeypatch, models, name, error, said):
    monkeypatch.chdir(files)
    with pytest.raises(error, match=said):
        write(models, tmp_path / "out", name=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", [None, "mfaba-sharp"])
def test_versions_of_a_model_have_one_configuration(graph, tmp_path, method):
    """Triton serves all of them, and what is told of one alone bears its number."""
    paths = [graph("smooth"), graph("smooth", objective="logit")]
    if method is not None:
        for i, path in enumerate(paths):
            paths[i] = tmp_path / f"{i}.onnx"
            attribution_from_gradient(path, paths[i], method=method)
    out = tmp_path / "out"
    assert write([f"a:1={paths[0]}", f"b={paths[0]}", f"a:7={paths[1]}"], out) == ["a", "b"]
    read = [text_format.Parse((out / n / "config.pbtxt").read_text(), pb.ModelConfig()) for n in "ab"]
    both, alone = read
    assert both.version_policy.HasField("all") and not alone.HasField("version_policy")
    told = {key: value.string_value for key, value in both.parameters.items()}
    for version, path, objective in (("1", paths[0], "softmax"), ("7", paths[1], "logit")):
        file = next(f for f in (out / "a" / version).iterdir() if f.suffix == ".onnx")
        assert file.read_bytes() == path.read_bytes()
        assert told[f"sha256:{version}"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert told[f"objective:{version}"] == objective
    assert told["classes"] == "4" and not {"sha256", "objective", "classes:1"} & set(told)
    both.ClearField("version_policy")
    for config in read:
        config.ClearField("parameters")
        config.ClearField("name")
    assert both == alone


def test_a_name_with_several_models_is_one_sentence(files, tmp_path, capsys):
    models = [str(files / "one.grad.onnx"), str(files / "two.onnx")]
    assert main(["triton", *models, str(tmp_path / "out"), "--name", "x"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("fluxpath: --name is of one model without a name, ") and said.count("\n") == 1


@pytest.mark.parametrize("method", [None, "mfaba-sharp"])
def test_a_file_is_written_that_this_machine_cannot_run(graph, tmp_path, method):
    """Nothing of it is opened: what Triton runs on may be another device."""
    path = graph("relu", precision="bfloat16")
    if method is not None:
        source, path = graph("relu").with_name("relu.onnx"), tmp_path / "whole.onnx"
        attribution_from_onnx(source, path, method=method, precision="bfloat16")
    write([f"m={path}"], tmp_path / "out", Options(device="cuda"))
    text = (tmp_path / "out" / "m" / "config.pbtxt").read_text()
    assert "KIND_GPU" in text and hashlib.sha256(path.read_bytes()).hexdigest() in text


@pytest.mark.parametrize("wrong", [{"max_batch": 8}, {"delay": 0.0}])
def test_what_would_have_no_effect_is_refused(files, tmp_path, wrong):
    with pytest.raises(InputError, match="only gradient graphs"):
        write([str(files / "one.grad.onnx")], tmp_path / "out", Options(**wrong))
    assert list(tmp_path.iterdir()) == []
    write([str(files / "one.grad.onnx"), str(files / "two.onnx")], tmp_path / "out", Options(**wrong))


def test_what_is_there_stays(files, tmp_path, capsys):
    (tmp_path / "mine").write_text("mine")
    for out in (tmp_path, tmp_path / "mine"):
        assert main(["triton", str(files / "one.grad.onnx"), str(out)]) == 1
        assert "is there already" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    assert main(["triton", str(files / "one.grad.onnx"), str(tmp_path / "mine" / "below")]) == 1
    assert "mine" in capsys.readouterr().err


def test_an_empty_folder_and_a_link_to_one_are_filled(files, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    assert write([str(files / "two.onnx")], tmp_path / "link", name="named") == ["named"]
    assert (tmp_path / "empty" / "named" / "config.pbtxt").is_file()


def test_a_disk_that_ends_is_told_and_leaves_nothing(files, tmp_path, monkeypatch):
    from pathlib import Path

    def full(path, text, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write([str(files / "one.grad.onnx")], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", [None, "mfaba-sharp"])
def test_a_second_file_of_weights_goes_with_it(graph, tmp_path, monkeypatch, method):
    """By the name that the first file has for it."""
    from fluxpath.export import gradient_from_onnx

    monkeypatch.setattr(export_artifact, "INLINE_LIMIT", 100)
    source = graph("smooth").with_name("smooth.onnx")
    path = tmp_path / "large.onnx"
    gradient_from_onnx(source, path)
    if method is not None:
        path = tmp_path / "whole.onnx"
        attribution_from_gradient(tmp_path / "large.onnx", path, method=method)
    write([f"m={path}"], tmp_path / "out")
    data = tmp_path / "out" / "m" / "1" / f"{path.name}.data"
    assert data.read_bytes() == path.with_name(f"{path.name}.data").read_bytes()


def test_the_package_that_writes_the_text_is_named(files, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tritonclient.grpc", None)
    with pytest.raises(FluxpathError, match=r"fluxpath\[serve\]"):
        write([str(files / "two.onnx")], tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
