"""`fluxpath bench`: a small run as a whole, a side that computes something else, and what is wrong to ask."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as Tree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from bench_factories import Several, network  # noqa: E402

from fluxpath.bench import run as running  # noqa: E402
from fluxpath.cli import bench, main  # noqa: E402
from fluxpath.cli._model import torch_module  # noqa: E402
from fluxpath.errors import ModelError  # noqa: E402
from fluxpath.export import gradient_from_torch  # noqa: E402

FACTORIES = Path(__file__).parents[1] / "bench_factories.py"
QUICK = ("--threads", "1", "--rounds", "2", "--batch", "1")


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "g.grad.onnx"
    return gradient_from_torch(network(), torch.zeros(1, 6), path).path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with the factories in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "COLD_TRIES", 1)
    shutil.copy(FACTORIES, tmp_path / "timed_modules.py")
    return tmp_path


def test_a_run(graph: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    methods = "mfaba-sharp:max_steps=3,integrated-gradients:steps=2,rule=middle"
    options = ["--torch", "timed_modules:network", "--methods", methods, "--sides", "published,best,openvino"]
    assert main(["bench", str(graph), *options, *QUICK, "--out", "new/out"]) == 0, capsys.readouterr().err
    printed = capsys.readouterr().out
    assert "Noise has no meaning to a model" in printed and "new/out/bench.md" in printed
    found = json.loads((folder / "new" / "out" / "bench.json").read_text())
    assert found["command"].startswith("fluxpath") and found["images"]["noise"]
    assert found["machine"]["threads"] == 1 and found["model"]["shape"] == [6]
    rows = {row["method"]: row for row in found["rows"]}
    gradients = "integrated-gradients:steps=2,rule=middle"
    assert list(rows) == ["step", "mfaba-sharp:max_steps=3", gradients]
    for name, row in rows.items():
        timed = {side for side, of in row["sides"].items() if "p50" in of}
        assert timed >= {"fluxpath", "published", "best"}
        for side in timed - {"fluxpath"}:
            of = row["sides"][side]
            assert of["turns"] == 2 and min(of["seconds"]) > 0 and of["ratio"]["median"] > 0
            assert of["agreement"]["agrees"] and of["agreement"]["median"] < 1e-4
        cold = row["cold_start"]
        if name == "step":
            assert cold is None and row["evaluations_per_image"] == 1
            continue
        assert min(cold[part] for part in ("import", "load", "first evaluation")) > 0 and cold["rest"] >= 0
        assert cold["peak_bytes"] > 1e7 and 0 <= row["outside_graph"] <= 1
    steps = rows["mfaba-sharp:max_steps=3"]
    assert steps["settings"]["step_size"] == 0.1 and steps["settings"]["max_steps"] == 3
    assert rows[gradients]["evaluations_per_image"] == 3
    Tree.parse(folder / "new" / "out" / "bench.svg")
    assert sorted(p.name for p in (folder / "new" / "out").iterdir()) == [
        "bench.json",
        "bench.md",
        "bench.svg",
    ]


def test_a_side_that_computes_something_else(
    graph: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--torch", "timed_modules:other", "--methods", "step", "--sides", "published"]
    assert main(["bench", str(graph), *options, *QUICK]) == 1
    printed, errors = capsys.readouterr()
    assert (
        "DISAGREES" in printed and "a side computes something other than fluxpath" in errors.splitlines()[-1]
    )
    (row,) = json.loads((folder / "bench" / "bench.json").read_text())["rows"]
    assert "p50" not in row["sides"]["published"] and "p50" in row["sides"]["fluxpath"]
    assert "without the normalisation" not in printed


def test_a_module_that_normalises_what_the_file_does_too(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings: dict[str, Any] = {"mean": [0.5] * 6, "std": [0.1] * 6, "input_range": (0.0, 1.0)}
    graph = gradient_from_torch(network(), torch.zeros(1, 6), folder / "n.grad.onnx", **settings).path
    options = ["--torch", "timed_modules:Normalising", "--methods", "step", "--sides", "published"]
    assert main(["bench", str(graph), *options, *QUICK]) == 1
    assert "without the normalisation (--mean, --std) that the file has" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_module_with_several_outputs(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--torch", "timed_modules:Several", "--methods", "step", "--sides", "published"]
    assert main(["bench", str(graph), *options, *QUICK]) == 1
    assert "name the logits with --logits NAME" in capsys.readouterr().err
    assert main(["bench", str(graph), *options, *QUICK, "--logits", "out"]) == 0, capsys.readouterr().err
    assert main(["bench", str(graph), *options, *QUICK, "--logits", "aux"]) == 1
    assert "DISAGREES" in capsys.readouterr().out


def test_the_file_knows_what_its_logits_are_called(graph: Path) -> None:
    from fluxpath.artifact import read_manifest
    from fluxpath.bench.torch_sides import network_of

    manifest, several, x = replace(read_manifest(graph), logits="out"), Several(), torch.ones(2, 6)
    assert torch.equal(network_of(several, manifest, (6,)).module(x), several.main(x))
    assert torch.equal(network_of(several, manifest, (6,), "aux").module(x), several.side(x))


def test_a_factory_that_fails(graph: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the process of a side, which says it to this one."""
    options = ["--torch", "timed_modules:fails", "--methods", "step", "--sides", "best"]
    assert main(["bench", str(graph), *options, *QUICK]) == 1
    errors = capsys.readouterr().err
    assert "'timed_modules:fails' failed: no weights" in errors.splitlines()[-1] and "Traceback" not in errors
    assert not (folder / "bench").exists()


def test_a_factory_that_ends_the_program(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--torch", "timed_modules:ends", "--methods", "step", "--sides", "best"]
    assert main(["bench", str(graph), *options, *QUICK]) == 1
    said = "'timed_modules:ends' failed: it ended the program by sys.exit('no data')"
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_module_that_ends_the_program_is_left_out_with_its_word(
    graph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--torch", "timed_modules:Ending", "--methods", "step", "--sides", "published"]
    assert main(["bench", str(graph), *options, *QUICK]) == 0
    assert "left out: SystemExit: enough" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_module:f", "cannot import 'no_such_module'"),
        ("timed_modules:absent", "module 'timed_modules' has no 'absent'"),
        ("timed_modules:NUMBER", "'timed_modules:NUMBER' is of type int, and must be a function"),
    ],
)
def test_names_that_mean_no_factory(name: str, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        torch_module(name)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--torch", "nocolon"], "write it as package.module:factory"),
        (["--logits", "out"], "pass --torch too"),
        (["--sides", "best"], "'best' needs the torch module"),
        (["--sides", "tensorflow"], "there is no 'tensorflow', there are fluxpath"),
        (["--batch", "0"], "must be numbers from 1 to 4096, or auto"),
        (["--batch", "some"], "must be numbers from 1 to 4096, or auto"),
        (["--methods", "magic"], "there is no method 'magic'"),
        (["--methods", "neflag:n"], "neflag:n has no value: write neflag:n=VALUE"),
        (["--methods", "lpi"], "lpi needs the setting 'references': pass lpi:references=FILE.npy"),
        (["--methods", "neflag:m=3"], "neflag has no setting 'm=3'"),
        (["--methods", ""], "write names with commas"),
        (["--methods", "saliency,saliency"], "has 'saliency' twice"),
        (["--methods", "stepp"], "the nearest is step"),
        (["--methods", "step:n=1"], "has no settings"),
        (["--methods", "deeplift"], "rules"),
        (["--rounds", "0"], "--rounds is 0"),
        (["--threads", "0"], "--threads is 0"),
        (["--device", "auto"], "a comparison needs one"),
        (["--device", "tpu"], "device is 'tpu'"),
        (["--data", "nowhere"], "'nowhere' is not an .npz file"),
        (["--out", "timed_modules.py"], "which is a file"),
    ],
)
def test_what_is_wrong_to_ask(
    options: list[str], why: str, graph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(graph), *options]) == 1
    errors = capsys.readouterr().err
    assert why in errors.splitlines()[-1] and "Traceback" not in errors


def test_a_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "missing.onnx"]) == 1
    assert "there is no gradient graph 'missing.onnx'" in capsys.readouterr().err


def test_methods_have_their_published_settings_unless_others_are_given() -> None:
    assert bench.published("mfaba-sharp", []) == ["step_size=0.1", "max_steps=50"]
    assert bench.published("mfaba-smooth", ["step_size=0.01"]) == ["max_steps=50", "step_size=0.01"]
    assert bench.published("my.module:Own", ["n=3"]) == ["n=3"]


def test_settings_are_spelled_as_for_evaluate(graph: Path) -> None:
    from fluxpath.artifact import read_manifest
    from fluxpath.bench.timing import Rounds
    from fluxpath.runtime import NeFLAG, Saliency

    for text in ("neflag:n=2,radius=0.03,saliency", "neflag:n=2:radius=0.03,saliency"):
        images = np.zeros((1, 6), np.float32)
        step, neflag, saliency = bench._tasks(text, [1], read_manifest(graph), images, Rounds(2))
        assert (step.name, step.method) == ("step", None)
        assert neflag.method == NeFLAG(n=2, radius=0.03, max_steps=20) and saliency.method == Saliency()


def test_fewer_images_than_a_batch_are_taken_over_and_over(tmp_path: Path, graph: Path) -> None:
    from fluxpath.artifact import read_manifest

    np.savez(tmp_path / "x.npz", images=np.random.default_rng(0).random((3, 6)).astype(np.float32))
    batches: list[Any] = [1, 5]
    images, about = bench._images(tmp_path / "x.npz", batches, read_manifest(graph))
    assert images.shape == (5, 6) and about["distinct"] == 3 and not about["noise"]
    np.testing.assert_array_equal(images[3:], images[:2])


def test_an_archive_without_images(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("none.npz", images=np.zeros((0, 6), np.float32))
    assert main(["bench", str(graph), "--data", "none.npz"]) == 1
    assert "'none.npz' holds no images" in capsys.readouterr().err


def test_parents_import_no_torch() -> None:
    """Only the processes of torch's sides do: in the one that waits its threads would be in the way."""
    import subprocess
    import sys

    code = (
        "import sys, fluxpath.bench.run, fluxpath.cli.bench; assert not {'torch', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
