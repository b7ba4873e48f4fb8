"""`fluxpath export` of torch modules: by factory, by torchvision's name, and every way to get that wrong."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import torch_modules as modules  # noqa: E402
from torch import nn  # noqa: E402

from fluxpath.cli import main  # noqa: E402
from fluxpath.export.torch_module import exporter  # noqa: E402
from fluxpath.preprocessing import Preprocessing  # noqa: E402
from fluxpath.runtime import read_manifest  # noqa: E402

FACTORIES = """
import torch
import torch_modules as modules

def alone():
    return modules.made(modules.tiny)

def both():
    return modules.made(modules.tiny), torch.zeros(1, 6)

def fails():
    raise OSError("the weights are\\nelsewhere")

NUMBER = 3

def text():
    return "no module"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with `factories.py` in it, which is on no path; the older exporter, for its speed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exporter, "attempts", lambda module: [exporter.Attempt(False, False)])
    (tmp_path / "factories.py").write_text(FACTORIES)
    (tmp_path / "broken.py").write_text("1 / 0")
    yield tmp_path
    for name in ("factories", "broken"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("out", ["g.grad.onnx", "g.pt"])
@pytest.mark.parametrize("model", [["factories:both"], ["factories:alone", "--shape", "6"]])
def test_a_factory(model: list[str], out: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = list(sys.path)
    assert main(["export", *model, "-o", out, "--objective", "margin", "--unbounded"]) == 0
    assert f"wrote {out} (" in capsys.readouterr().out
    manifest = read_manifest(folder / out)
    assert (manifest.shape, manifest.objective, manifest.low) == ((6,), "margin", None)
    assert sys.path == path
    assert main(["info", out]) == 0
    form = "TorchScript" if out == "g.pt" else "ONNX, opset 20"
    assert form in capsys.readouterr().out


def test_notes_are_shown(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    def fails(subject: object, opset: int) -> None:
        raise RuntimeError("no newer exporter")

    ways = [exporter.Attempt(True, False), exporter.Attempt(False, False)]
    monkeypatch.setattr(exporter, "attempts", lambda module: ways)
    monkeypatch.setattr(exporter, "_newer", fails)
    assert main(["export", "factories:both", "-o", "g.onnx"]) == 0
    assert "note: exported with the older TorchScript exporter, because" in capsys.readouterr().out


class Torchvision(types.ModuleType):
    """What fluxpath asks of torchvision.models, with one small model in it."""

    def __init__(self) -> None:
        super().__init__("torchvision.models")

        class Weights:
            DEFAULT: Any

            meta: dict[str, Any] = {"categories": list("vwxyz")}  # noqa: RUF012

            def transforms(self) -> types.SimpleNamespace:
                return types.SimpleNamespace(
                    mean=[0.1, 0.2, 0.3],
                    std=[0.5, 0.6, 0.7],
                    crop_size=[16],
                    resize_size=[20],
                    interpolation=types.SimpleNamespace(value="bicubic"),
                )

        Weights.DEFAULT = Weights()
        self.weights = Weights

    def get_model_weights(self, name: str) -> Any:
        if name != "net":
            raise ValueError(f"Unknown model {name}")
        return self.weights

    def get_model(self, name: str, weights: Any) -> nn.Module:
        assert weights is self.weights.DEFAULT
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))
        return modules.made(lambda: pooled)


def test_torchvision(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models", Torchvision())
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    assert main(["export", "torchvision:net", "-o", "g.pt"]) == 0
    manifest = read_manifest(folder / "g.pt")
    assert manifest.shape == (3, 16, 16) and manifest.class_names == tuple("vwxyz")
    assert manifest.mean == (0.1, 0.2, 0.3) and manifest.std == (0.5, 0.6, 0.7)
    assert manifest.preprocessing == Preprocessing(20, 16, "bicubic")
    assert main(["export", "torchvision:net", "-o", "g.pt", "--interpolation", "lanczos"]) == 0
    assert read_manifest(folder / "g.pt").preprocessing == Preprocessing(interpolation="lanczos")
    options = ["--shape", "3", "8", "9", "--mean", "0", "0", "0", "--std", "1", "1", "1"]
    assert main(["export", "torchvision:net", "-o", "g.pt", *options]) == 0
    manifest = read_manifest(folder / "g.pt")
    assert manifest.shape == (3, 8, 9) and manifest.mean == (0, 0, 0) and manifest.preprocessing is None
    assert main(["export", "torchvision:mouse", "-o", "h.pt"]) == 1
    assert "torchvision gives no model 'mouse': Unknown model mouse" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["factories:alone"], "'factories:alone' gives no example of the input: pass --shape"),
        (["factories:alone", "--shape", "0"], "--shape is [0], and sizes must be 1 or more"),
        (["factories:alone", "--shape", "7"], "the module fails on the example: "),
        (["factories:fails"], "'factories:fails' failed: the weights are\n"),
        (["factories:none"], "module 'factories' has no 'none'"),
        (["factories:NUMBER"], "'factories:NUMBER' is of type int, and must be a function"),
        (["factories:text", "--shape", "6"], "the model is of type str, and it must be a torch.nn.Module"),
        (["nowhere:none"], "cannot import 'nowhere': No module named 'nowhere'"),
        (["broken:none"], "cannot import 'broken': division by zero"),
        (["torchvision:resnet50"], 'pip install "fluxpath[torchvision]"'),
        (["nothing.onnx"], "'g.pt' asks for TorchScript, which is made of a torch module"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: list[str],
    message: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert main(["export", *arguments, "-o", "g.pt"]) == 1
    error = capsys.readouterr().err.rsplit("\r", 1)[-1]
    assert message in error and "Traceback" not in error
    assert error.lstrip().startswith("fluxpath: ") and error.count("\n") == 1
    assert not (folder / "g.pt").exists()


def test_without_torch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "torch_modules")
    assert main(["export", "factories:both", "-o", "g.pt"]) == 1
    assert "cannot import 'factories': import of torch halted" in capsys.readouterr().err
