"""The command line as a user meets it: the whole road, and one sentence for every mistake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from models import relu, smooth
from PIL import Image

from fluxpath.cli import main
from fluxpath.errors import ProviderError
from fluxpath.runtime import Explainer, method_named


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, its class names, three photos and a gradient graph that the command line wrote."""
    path = tmp_path_factory.mktemp("cli")
    onnx.save(smooth(), path / "model.onnx")
    onnx.save(relu(), path / "pooling.onnx")
    classes = smooth().graph.output[0].type.tensor_type.shape.dim[1].dim_value
    (path / "names.txt").write_text("\n".join(f"class {i}" for i in range(classes)) + "\n")
    (path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png", "a.jpg"):
        Image.fromarray(rng.integers(0, 255, (20, 30), np.uint8)).save(path / "photos" / name)
    arguments = ["export", str(path / "model.onnx"), "-o", str(path / "model.grad.onnx")]
    assert main([*arguments, "--classes", str(path / "names.txt")]) == 0
    return path


def test_export_says_what_it_wrote(folder, capsys):
    out = folder / "again.grad.onnx"
    assert main(["export", str(folder / "model.onnx"), "-o", str(out), "--objective", "logit"]) == 0
    printed = capsys.readouterr().out
    assert str(out) in printed
    assert "of float64" in printed
    assert main(["info", str(out)]) == 0
    assert "objective      logit" in capsys.readouterr().out


def test_how_photos_become_inputs_is_in_the_manifest(folder, tmp_path, capsys):
    out, shown = tmp_path / "photos.grad.onnx", []
    for options in (["--resize", "8", "--crop", "6", "--interpolation", "bicubic"], ["--pad"], []):
        assert main(["export", str(folder / "model.onnx"), "-o", str(out), *options]) == 0
        assert main(["info", str(out)]) == 0
        shown += [line for line in capsys.readouterr().out.splitlines() if line.startswith("photos  ")]
        assert (
            main(["explain", str(out), str(folder / "photos/a.png"), "--out", str(tmp_path / "a.npy")]) == 0
        )
        with Explainer(out, threads=1) as explainer, Image.open(folder / "photos/a.png") as photo:
            written = np.load(tmp_path / "a.npy")
            assert np.array_equal(written, explainer.attribute(np.asarray(photo)).values)
    assert [line[15:] for line in shown] == [
        "shorter side to 8, bicubic, centre cropped to 6 x 6",
        "resized to fit, bilinear, padded with black",
        "resized to cover, bilinear, centre cropped",
    ]


OWN_METHOD = """
from dataclasses import dataclass
from fluxpath.runtime import Saliency

@dataclass(frozen=True)
class Own(Saliency):
    factor: float = 2.0

    def advance(self, lanes, slots):
        super().advance(lanes, slots)
        lanes.sum[slots] *= self.factor
"""


def test_a_method_of_ones_own_from_the_current_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_cli_method.py").write_text(OWN_METHOD)
    explain = ["explain", str(folder / "model.grad.onnx"), str(folder / "photos/a.png"), "--out"]
    assert main([*explain, "own.npy", "--method", "own_cli_method:Own", "--set", "factor=3"]) == 0
    assert main([*explain, "plain.npy", "--method", "saliency"]) == 0
    np.testing.assert_allclose(np.load("own.npy"), 3 * np.load("plain.npy"), rtol=1e-6)
    assert str(tmp_path) not in sys.path


def test_settings_that_are_photos(folder, tmp_path):
    """Prepared as the model's inputs, a folder of them or one."""
    photos, graph = folder / "photos", folder / "model.grad.onnx"
    with Explainer(graph, threads=1) as explainer:
        made = explainer.prepare(photos)
        for name, options, settings in (
            ("expected-gradients", {"n": 3}, {"background": photos}),
            ("lpi", {"rule": "middle"}, {"references": photos}),
            ("integrated-gradients", {"steps": 3}, {"baseline": photos / "b.png"}),
        ):
            arguments = [f"{key}={value}" for key, value in {**options, **settings}.items()]
            sets = [part for argument in arguments for part in ("--set", argument)]
            explain = ["explain", str(graph), str(photos / "a.png"), "--method", name]
            assert main([*explain, "--out", str(tmp_path / f"{name}.npy"), *sets]) == 0
            (key,) = settings
            method = method_named(name, **options, **{key: made[2] if key == "baseline" else made})
            expected = explainer.attribute(photos / "a.png", method=method).values
            np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), expected, atol=1e-6)


def test_precision_is_in_the_manifest(folder, capsys):
    out = folder / "half.grad.onnx"
    arguments = ["export", str(folder / "pooling.onnx"), "-o", str(out)]
    assert main([*arguments, "--precision", "float16"]) == 0
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    assert "precision      float16" in capsys.readouterr().out
    assert main([*arguments, "--precision", "float16", "--gradient-dtype", "float16"]) == 0
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    assert "gradient type  float16" in capsys.readouterr().out


def test_info_shows_manifest_and_cost(folder, capsys):
    assert main(["info", str(folder / "model.grad.onnx")]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["objective"] == "softmax"
    assert "class 0, class 1" in lines["class"]
    assert "FLOP" in lines["arithmetic"]
    assert "Gemm" in lines["operators"]


def test_verify_at_random_and_at_given_images(folder, tmp_path, capsys):
    assert main(["verify", str(folder / "model.grad.onnx")]) == 0
    assert "the gradient is right" in capsys.readouterr().out
    shape = [d.dim_value for d in smooth().graph.input[0].type.tensor_type.shape.dim[1:]]
    np.savez(tmp_path / "images.npz", images=np.random.default_rng(0).integers(0, 255, (4, *shape), np.uint8))
    arguments = ["verify", str(folder / "model.grad.onnx"), "--data", str(tmp_path / "images.npz")]
    assert main(arguments) == 0
    assert "the gradient is right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("method", "setting"),
    [
        *((m, "max_steps=3") for m in ("mfaba-sharp", "mfaba-smooth", "neflag")),
        ("saliency", "absolute=false"),
        ("integrated-gradients", "baseline={array}"),
        ("smoothgrad", "variant=variance"),
        ("expected-gradients", "background={arrays}"),
        ("lpi", "references={arrays}"),
        ("agi", "choice=top"),
        ("big", "radii=0.5"),
        ("guided-ig", "steps=9"),
    ],
)
def test_explain_a_folder(folder, tmp_path, capsys, method, setting):
    shape = [d.dim_value for d in smooth().graph.input[0].type.tensor_type.shape.dim[1:]]
    np.save(tmp_path / "array.npy", np.full(shape, 0.5))
    np.save(tmp_path / "arrays.npy", np.full([2, *shape], 0.5))
    setting = setting.format(array=tmp_path / "array.npy", arrays=tmp_path / "arrays.npy")
    out = tmp_path / "heat"
    arguments = ["explain", str(folder / "model.grad.onnx"), str(folder / "photos"), "--npy"]
    assert main([*arguments, "--method", method, "--out", str(out), "--set", setting]) == 0
    names = sorted(p.name for p in out.iterdir())
    assert names == ["a-2.npy", "a-2.png", "a.npy", "a.png", "b.npy", "b.png", "results.jsonl"]
    assert np.isfinite(np.load(out / "a.npy")).all()
    printed = capsys.readouterr().out
    assert "class " in printed
    assert printed.count(".png") >= 3


@pytest.mark.parametrize(
    ("options", "written"),
    [
        (["--format", "npz"], "heatmaps.npz"),
        (["--out", "runs/x.npz"], "runs/x.npz"),
        (["--out", "x.v2", "--format", "npy"], "x.v2.npy"),
        (["--format", "parquet", "--out", "x.parquet"], "x.parquet"),
        (["--out", "x.jsonl"], "x.jsonl"),
        (["--format", "jsonl"], "heatmaps.jsonl"),
        (["--out", "x.v2/"], "x.v2/results.jsonl"),
        (["--out", "x", "--format", "png"], "x/b.png"),
    ],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_explain_into_any_format_and_again(folder, tmp_path, monkeypatch, capsys, options, written):
    monkeypatch.chdir(tmp_path)
    arguments = ["explain", str(folder / "model.grad.onnx"), str(folder / "photos"), *options]
    assert main(arguments) == 0
    assert Path(written).is_file()
    assert "a.jpg" in capsys.readouterr().out
    assert main([*arguments, "--resume"]) == 0
    assert "0 written, 3 skipped" in capsys.readouterr().out
    assert main(arguments) == 0
    assert "skipped" not in capsys.readouterr().out


def test_explain_many_images_ends_with_a_line(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(41):
        Image.fromarray(np.full((5, 5), i, np.uint8)).save(tmp_path / "photos" / f"{i:02d}.png")
    assert main(["explain", str(folder / "model.grad.onnx"), "photos", "--out", "x.npz"]) == 0
    assert capsys.readouterr().out == "x.npz: 41 written\n"


def test_explain_goes_on_past_damaged_images(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.full((5, 5), 9, np.uint8)).save("photos/z.png")
    for name in ("a.png", "b.png"):
        (tmp_path / "photos" / name).write_bytes(b"no image")
    assert main(["explain", str(folder / "model.grad.onnx"), "photos"]) == 1
    printed = capsys.readouterr()
    assert "z.png" in printed.out
    assert printed.err.count("b.png") == 1 and "photos/b.png: this is not an image" in printed.err
    assert "fluxpath: 2 of 3 images failed" in printed.err
    assert sorted(p.name for p in Path("heatmaps").iterdir()) == ["results.jsonl", "z.png"]


def test_a_mistake_does_not_cost_earlier_results(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["explain", str(folder / "model.grad.onnx"), str(folder / "photos")]
    assert main(arguments) == 0
    before = Path("heatmaps/results.jsonl").read_bytes()
    assert main([*arguments, "--target", "99"]) == 1
    assert main([*arguments, "--resume", "--method", "neflag"]) == 1
    assert "was written with method MFABA" in capsys.readouterr().err
    assert Path("heatmaps/results.jsonl").read_bytes() == before


def test_demo(tmp_path, capsys):
    pytest.importorskip("sklearn", reason="the demo's digits are scikit-learn's")
    assert main(["demo", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert {"digits.grad.onnx", "digits.png"} <= {p.name for p in tmp_path.iterdir()}
    assert "neflag" in printed
    with Image.open(tmp_path / "digits.png") as sheet:
        assert sheet.width > sheet.height > 300


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["export", "none.onnx", "-o", "x.onnx"], "there is no model file"),
        (["export", "{model}", "-o", "x.onnx", "--objective", "fun"], "there is no objective 'fun'"),
        (["export", "{model}", "-o", "x.onnx", "--precision", "int8"], "there is no precision 'int8'"),
        (
            ["export", "{model}", "-o", "x.onnx", "--gradient-dtype", "float16"],
            "the precision, which is float32",
        ),
        (["export", "{model}", "-o", "none/x.onnx"], "cannot write to the folder"),
        (["export", "{model}", "-o", "{model}"], "is the model itself, which would be lost"),
        (["export", "{model}", "-o", "{model}", "--method", "neflag"], "is the model itself"),
        (["export", "{graph}", "-o", "x.onnx"], "is what an export wrote"),
        (["export", "{model}", "-o", "x.onnx", "--mean", "0.5"], "mean and std go together"),
        (
            ["export", "{model}", "-o", "x.onnx", "--mean", "123", "--std", "58"],
            "outside the input's range of 0 to 1: of levels from 0 to 255 say so by --range 0 255",
        ),
        (["export", "{model}", "-o", "x.onnx", "--classes", "none.txt"], "cannot read class names"),
        (
            ["export", "{model}", "-o", "x.onnx", "--crop", "7"],
            "the preprocessing does not fit: crop is [7, 7]",
        ),
        (["export", "{model}", "-o", "x.onnx", "--resize", "5"], "resize is 5, less than the 6 pixels"),
        (["export", "{model}", "-o", "x.onnx", "--crop", "6", "--pad"], "leave out resize and crop"),
        (["export", "{model}", "-o", "x.jpg"], "an export's file ends in .onnx"),
        (["export", "{model}", "-o", "x.onnx", "--classes", "x.json"], "write one name a line"),
        (["export", "{model}", "-o", "x.onnx", "--method", "neflag", "--set", "n"], "write --set n=VALUE"),
        (["explain", "{graph}", "{photos}", "--set", "max_steps"], "write --set max_steps=VALUE"),
        (["explain", "{graph}", "{photos}", "--npy", "--out", "z.npz"], "z.npz' is no folder"),
        (["explain", "{graph}", "{photos}", "--size", "4097"], "size is 4097, it must be"),
        (["info", "none.onnx"], "there is no gradient graph"),
        (["info", "{model}"], "model.onnx' is no intact gradient graph"),
        (["verify", "{model}"], "no intact gradient graph"),
        (["verify", "{graph}", "--data", "{model}"], "not an .npz file"),
        (["explain", "{graph}", "none.png"], "none.png"),
        (["explain", "{graph}", "{model}"], "not an image"),
        (["explain", "{graph}", "{photos}", "--target", "99"], "not a class of the model"),
        (["explain", "{graph}", "{photos}", "--set", "steps=3"], "has no setting 'steps=3'"),
        (["explain", "{graph}", "{photos}", "--set", "max_steps=0"], "max_steps is 0"),
        (["explain", "{graph}", "{photos}", "--device", "tpu"], "tpu"),
        (["explain", "{graph}", "."], "holds no image"),
        (["explain", "{graph}", "{photos}", "--out", "{photos}"], "must not lie among them"),
        (
            ["explain", "{graph}", "{photos}", "--method", "deep"],
            "there is no method 'deep': the near",
        ),
        (["explain", "{graph}", "{photos}", "--method", "no.such:Own"], "cannot import 'no.such'"),
        (
            ["explain", "{graph}", "{photos}", "--method", "lpi"],
            "pass --set references=FILE.npy, or",
        ),
        (["explain", "{graph}", "{photos}", "--method", "deeplift"], "exported with rules 'deeplift'"),
        (["explain", "{graph}", "{photos}", "--out", "x.npz", "--format", "npy"], "give one of the two"),
        (
            ["explain", "{graph}", "{photos}", "--out", "new/att.csv"],
            "neither a .npz, .npy, .parquet, .jsonl file nor",
        ),
        (["explain", "{graph}", "{photos}", "--out", "x.png"], "nor a folder (write 'x.png/' for a folder)"),
    ],
    ids=lambda v: " ".join(v)[:40] if isinstance(v, list) else "",
)
def test_a_mistake_is_one_sentence(folder, tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    named = {"model": folder / "model.onnx", "graph": folder / "model.grad.onnx", "photos": folder / "photos"}
    assert main([a.format(**named) for a in arguments]) == 1
    error = capsys.readouterr().err.split("\r")[-1].strip()
    assert error.startswith("fluxpath: ")
    assert sentence in error
    assert "\n" not in error
    assert [p.name for p in tmp_path.iterdir() if p.name != "heatmaps"] == []


@pytest.mark.parametrize("out", ["heatmaps", "x.npz"])
def test_a_disk_that_refuses_is_one_sentence(folder, tmp_path, monkeypatch, capsys, out):
    arguments = ["explain", str(folder / "model.grad.onnx"), str(folder / "photos"), "--out", out]
    original = os.open

    def refuse(path: Path, flags: int, *rest: object, **options: object) -> int:
        if flags & os.O_CREAT:
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, flags, *rest, **options)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "open", refuse)
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"fluxpath: cannot read or write '{out}")
    assert error.endswith("': Permission denied\n")


def test_output_that_nobody_reads_to_the_end(folder):
    command = "import sys; from fluxpath.cli import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", command, "info", str(folder / "model.grad.onnx")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no sh")
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_output_that_the_caller_has_closed(folder, tmp_path, closed):
    program = "import sys; from fluxpath.cli import main; sys.exit(main())"
    explain = ["explain", folder / "model.grad.onnx", folder / "photos/a.png", "--out"]
    for arguments, code in (
        ([*explain, tmp_path / "a.npy"], 0),
        ([*explain, tmp_path / "a.npy" / "below.npy"], 1),
        (["info", "--unknown"], 2),
    ):
        command = ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-c", program, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
        assert done.stdout == ""
    assert np.load(tmp_path / "a.npy").shape == (1, 1, 6, 6)


@pytest.mark.parametrize(
    ("method", "setting", "message"),
    [
        ("expected-gradients", "n=5", "needs the setting 'background': pass --set background=FILE.npy"),
        ("lpi", "steps=3", "needs the setting 'references'"),
        ("input-x-gradient", "n=3", "input-x-gradient has no setting 'n=3', it has none"),
        ("integrated-gradients", "baseline=none.npy", "cannot read an array from 'none.npy'"),
        ("integrated-gradients", "baseline={text}", "cannot read an array from"),
        ("saliency", "absolute=maybe", "absolute is 'maybe', it must be True or False"),
    ],
)
def test_settings_that_do_not_fit_the_method(folder, tmp_path, capsys, method, setting, message):
    (tmp_path / "text.npy").write_text("no array")
    arguments = ["explain", str(folder / "model.grad.onnx"), str(folder / "photos"), "--method", method]
    assert main([*arguments, "--set", setting.format(text=tmp_path / "text.npy")]) != 0
    assert message in capsys.readouterr().err


def test_deeplift_from_the_command_line(folder, tmp_path, capsys):
    out = tmp_path / "lifted.onnx"
    arguments = ["export", str(folder / "pooling.onnx"), "-o", str(out), "--objective", "logit"]
    np.save(tmp_path / "grey.npy", np.full((2, 8, 8), 0.5, np.float32))
    assert main([*arguments, "--rules", "deeplift", "--baseline", str(tmp_path / "grey.npy")]) == 0
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    assert "deeplift" in capsys.readouterr().out
    assert main(["verify", str(out)]) == 0
    assert "the multipliers are right" in capsys.readouterr().out
    assert main([*arguments, "--baseline", "0.5"]) != 0
    assert "add --rules deeplift" in capsys.readouterr().err
    assert main([*arguments, "--rules", "deeplift", "--baseline", "missing.npy"]) != 0
    assert "cannot read an array from 'missing.npy'" in capsys.readouterr().err


@pytest.mark.filterwarnings("default")
def test_a_warning_is_a_sentence_too(folder, capsys, monkeypatch):
    def missing(providers):
        raise ProviderError("there is no GPU")

    monkeypatch.setattr("fluxpath.runtime.backends.opening.require_providers", missing)
    arguments = ["explain", str(folder / "model.grad.onnx"), str(folder / "photos"), "--device", "auto"]
    assert main([*arguments, "--out", str(folder / "auto")]) == 0
    assert capsys.readouterr().err == "fluxpath: device='auto' uses the CPU: there is no GPU\n"


def test_a_range_and_no_range_are_not_given_together(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["export", "m.onnx", "-o", "g.onnx", "--range", "0", "1", "--unbounded"])
    assert ended.value.code == 2
    assert "--unbounded: not allowed with argument --range" in capsys.readouterr().err
