"""gradient_from_torch to TorchScript: against torch.autograd in float64, and what the file holds."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import torch_modules as modules  # noqa: E402
from torch import nn  # noqa: E402

from fluxpath import archive, script  # noqa: E402
from fluxpath.errors import ArtifactError, ModelError, VerificationError  # noqa: E402
from fluxpath.export import gradient_from_onnx, gradient_from_torch, verify  # noqa: E402
from fluxpath.export.objectives import OBJECTIVES  # noqa: E402
from fluxpath.export.torch_module import trace  # noqa: E402
from fluxpath.export.torch_module.objectives import TORCH_OBJECTIVES, Head  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")

IMAGE = torch.zeros(1, 3, modules.SIDE, modules.SIDE)
ROW = torch.zeros(1, 6)


def run(path: Path, *inputs: np.ndarray) -> dict[str, np.ndarray]:
    """As another user of the file would: with torch alone."""
    module = torch.jit.load(str(path))
    return {k: v.numpy() for k, v in module(*map(torch.from_numpy, inputs)).items()}


def whole(out: dict[str, np.ndarray]) -> np.ndarray:
    scale = out["scale"].astype(np.float64)
    return out["gradient"] * scale.reshape(-1, *[1] * (out["gradient"].ndim - 1))


@pytest.mark.parametrize("build", [modules.resnet, modules.ViT])
def test_gradient_at_any_batch_size(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    module = modules.made(build)
    # A sharper head, so that predictions are saturated: 1 - p is lost in float32, and its exact form is not.
    with torch.no_grad():
        next(p for p in reversed(list(module.parameters())) if p.ndim == 2).mul_(12)
    done = gradient_from_torch(module, IMAGE, tmp_path / "g.pt", mean=[0.5] * 3, std=[0.25] * 3)
    assert done.manifest.error == done.verification.error < 1e-5
    smallest = 1.0
    # 7 is the batch that was traced, 3 a size of the image: neither may have become a constant.
    for n in (1, 2, 3, 7, 8):
        x = np.random.default_rng(n).random((n, *done.manifest.shape), dtype=np.float32)
        target = np.arange(n) % modules.CLASSES - 1
        score, true = modules.float64_gradient(module, x, target, 0.5, 0.25)
        out = run(tmp_path / "g.pt", x, target)
        assert tuple(out) == done.manifest.outputs
        assert modules.relative(whole(out), true) < 2e-5
        np.testing.assert_allclose(out["score"], score, rtol=2e-5)
        assert (out["label"] == out["logits"].argmax(1)).all()
        smallest = min(smallest, float(out["scale"].min()))
    assert smallest < 1e-6


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("outputs", [1, modules.CLASSES])
def test_objectives(objective: str, outputs: int, tmp_path: Path) -> None:
    module = modules.made(lambda: modules.tiny(outputs))
    done = gradient_from_torch(module, ROW, tmp_path / "g.pt", objective=objective, input_range=None)
    assert done.verification.error < 1e-5 and done.verification.score < 1e-6
    assert done.manifest.classes == (2 if outputs == 1 and objective != "logit" else outputs)


def test_the_plain_derivative(tmp_path: Path) -> None:
    module = modules.made(modules.tiny)
    done = gradient_from_torch(module, ROW, tmp_path / "g.pt", factored=False)
    x = np.random.default_rng(0).random((4, 6), dtype=np.float32)
    out = run(tmp_path / "g.pt", x, np.arange(4))
    _, true = modules.float64_gradient(module, x, np.arange(4))
    assert modules.relative(out["gradient"], true) < 1e-6
    assert (out["scale"] == 1).all() and not done.manifest.factored


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision(precision: str, tmp_path: Path) -> None:
    done = gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "g.pt", precision=precision)
    assert 1e-5 < done.verification.error < 0.1
    out = run(tmp_path / "g.pt", np.zeros((2, 6), np.float32), np.array([-1, 0]))
    assert {v.dtype.name for k, v in out.items() if k != "label"} == {"float32"}


def test_further_inputs_follow_the_target(tmp_path: Path) -> None:
    class Weighted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = modules.made(modules.tiny)

        def forward(self, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            return self.net(x * weight.unsqueeze(1))

    module = Weighted()
    done = gradient_from_torch(module, (torch.ones(1), ROW), tmp_path / "g.pt", input="x")
    assert [(c.name, c.dtype, c.shape) for c in done.manifest.companions] == [("weight", "float32", ())]
    x = np.random.default_rng(0).random((3, 6), dtype=np.float32)
    weight = np.array([0.5, 1, 2], np.float32)
    out = run(tmp_path / "g.pt", x, np.arange(3), weight)
    _, true = modules.float64_gradient(module.net, x * weight[:, None], np.arange(3))
    assert modules.relative(whole(out), true * weight[:, None]) < 1e-6


def test_arithmetic_on_the_batch_size(tmp_path: Path) -> None:
    """Sizes are symbols to torch and numbers to the script; Swin's windows need their maximum."""

    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = modules.made(modules.tiny)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rows = x.shape[0]
            longest = torch.sym_min(torch.sym_max(rows, 4), 100)
            extra = torch.ones(longest * 2 // 2 + 1, 1)[:rows] * torch.sym_float(rows) / rows
            return self.net(x * extra)

    module = Padded()
    gradient_from_torch(module, ROW, tmp_path / "g.pt")
    for n in (1, 3, 9):
        x = np.random.default_rng(n).random((n, 6), dtype=np.float32)
        _, true = modules.float64_gradient(module.net, x, np.zeros(n, np.int64))
        assert modules.relative(whole(run(tmp_path / "g.pt", x, np.zeros(n, np.int64))), true) < 1e-6


def test_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "g.pt"
    done = gradient_from_torch(modules.made(modules.tiny), ROW, path, class_names=list("abcde"))
    assert [p.name for p in tmp_path.iterdir()] == ["g.pt"]
    extra = {archive.MANIFEST: ""}
    torch.jit.load(str(path), _extra_files=extra)
    fields = json.loads(extra[archive.MANIFEST])
    assert fields["class_names"] == list("abcde") and fields["opset"] is None
    assert archive.unseal(path.read_bytes())[1] == done.manifest
    names = zipfile.ZipFile(path).namelist()
    assert not [n for n in names if "debug" in n]


def test_tensors_are_made_where_the_input_is(tmp_path: Path) -> None:
    """The file runs on another device than it was exported on: no device is written into it."""
    gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "g.pt", objective="margin")
    graph = str(torch.jit.load(str(tmp_path / "g.pt")).inlined_graph)
    assert "aten::arange" in graph
    assert 'value="cpu"' not in graph


def test_operators_are_those_of_every_device(tmp_path: Path) -> None:
    gradient_from_torch(modules.made(modules.ViT), IMAGE, tmp_path / "g.pt")
    graph = str(torch.jit.load(str(tmp_path / "g.pt")).inlined_graph)
    assert "aten::bmm" in graph
    assert [word for word in ("cpu", "cuda", "mkl", "cudnn", "flash") if word in graph] == []


def test_a_script_keeps_the_seed_unit_sized(tmp_path: Path) -> None:
    """A prediction whose probability rounds to one still has a direction."""
    module = modules.made(modules.tiny)
    with torch.no_grad():
        module[2].weight.mul_(300)
    gradient_from_torch(module, ROW, tmp_path / "g.pt")
    x = np.random.default_rng(0).random((6, 6), dtype=np.float32)
    out = run(tmp_path / "g.pt", x, np.full(6, -1))
    assert (out["score"] == 1).any()
    assert (np.linalg.norm(out["gradient"], axis=1) > 1).all()


# What can go wrong.


@pytest.mark.parametrize(
    "fixes", [lambda x: x.reshape(len(x), -1), lambda x: x if x.shape[0] == 7 else 2 * x]
)
def test_a_module_that_fixes_its_batch(fixes: Callable[[Any], Any], tmp_path: Path) -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = modules.tiny()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(fixes(x))

    with pytest.raises((ModelError, VerificationError)) as caught:
        gradient_from_torch(Fixed(), ROW, tmp_path / "g.pt")
    assert "turns the batch size into a number" in str(caught.value) or "off by" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_head_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = TORCH_OBJECTIVES["softmax"]

    def wrong(logits: torch.Tensor, onehot: torch.Tensor) -> Head:
        head = right.head(logits, onehot)
        return head._replace(scale=1.01 * head.scale)

    monkeypatch.setitem(trace.TORCH_OBJECTIVES, "softmax", right._replace(head=wrong))
    with pytest.raises(VerificationError, match=r"the gradient is off by 1\.0e-02"):
        gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "g.pt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["script", "freeze"])
def test_where_scripting_fails_there_is_no_file(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("\nno such operator:\nmore")

    monkeypatch.setattr(torch.jit, stage, fails)
    with pytest.raises(ModelError, match=r"^torch cannot script the module's gradient: no such operator:$"):
        gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "g.pt")
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_opened_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "OPERATORS", script.OPERATORS - {"tanh_backward"})
    with pytest.raises(
        ModelError, match=r"cannot be a \.pt file, .* a call of 'torch\.tanh_backward': export"
    ):
        gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "g.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_module_without_derivative(tmp_path: Path) -> None:
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = modules.tiny()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x.detach())

    with pytest.raises(ModelError, match="do not depend on the input through differentiable operations"):
        gradient_from_torch(Cut(), ROW, tmp_path / "g.pt")


def test_float64_is_needed(tmp_path: Path) -> None:
    single = torch.eye(6)  # neither parameter nor buffer: it stays in float32

    class Single(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = modules.tiny()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x @ single)

    with pytest.raises(ModelError, match="the module cannot run in float64, which verification needs"):
        gradient_from_torch(Single(), ROW, tmp_path / "g.pt")


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot write to the folder"):
        gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "none" / "g.pt")


def test_an_onnx_model_does_not_become_torchscript(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="asks for TorchScript, which is made of a torch module"):
        gradient_from_onnx(tmp_path / "model.onnx", tmp_path / "g.pt")


def test_verify_says_where_the_error_stands(tmp_path: Path) -> None:
    gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "g.pt")
    with pytest.raises(ArtifactError, match="it was verified as it was written"):
        verify(tmp_path / "g.pt")


def test_torch_is_given_what_was_verified(tmp_path: Path) -> None:
    """Entries without traces of the machine are still an archive that torch reads."""
    gradient_from_torch(modules.made(modules.tiny), ROW, tmp_path / "g.pt")
    entries, _ = archive.unseal((tmp_path / "g.pt").read_bytes())
    module = torch.jit.load(io.BytesIO(archive.pack(entries)))
    assert set(module(torch.zeros(2, 6), torch.zeros(2, dtype=torch.int64))) == set(trace.OUTPUTS)


class WritesIntoAView(nn.Module):
    """Halves what it has, by way of a view whose own value nobody uses."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4 * modules.SIDE**2, modules.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv(x)
        h.view(h.shape[0], -1).mul_(0.5)
        return self.head(torch.sin(h.flatten(1)))


def test_what_is_written_in_place_is_not_dead_code(tmp_path: Path) -> None:
    done = gradient_from_torch(modules.made(WritesIntoAView), IMAGE, tmp_path / "g.pt")
    assert done.verification.error < 1e-5


class WritesIntoItsInput(nn.Module):
    """Doubles its images in place."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3 * modules.SIDE**2, modules.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.mul_(2)
        return self.head(torch.sin(x.flatten(1)))


def test_a_module_that_writes_into_its_input(tmp_path: Path) -> None:
    done = gradient_from_torch(modules.made(WritesIntoItsInput), IMAGE, tmp_path / "g.pt")
    assert done.verification.error < 1e-5
    images = np.random.default_rng(0).random((2, *IMAGE.shape[1:]), np.float32)
    given = images.copy()
    run(tmp_path / "g.pt", images, np.array([-1, -1]))
    np.testing.assert_array_equal(images, given)
