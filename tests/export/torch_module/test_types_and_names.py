"""Modules whose code names types, or whose arguments have operators' names; logits with sizes of one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import torch_modules as modules  # noqa: E402
from torch import nn  # noqa: E402

from fluxpath.errors import ModelError  # noqa: E402
from fluxpath.export import Exported, gradient_from_torch, verify  # noqa: E402
from fluxpath.runtime import Explainer, Saliency  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning")

ROW, IMAGE = torch.zeros(1, 6), torch.zeros(1, 3, 8, 8)
FORMS = pytest.mark.parametrize("suffix", [".onnx", ".pt"])
Step = Callable[[torch.Tensor], torch.Tensor]


def doing(step: Step) -> nn.Module:
    """`step`, then two linear maps."""
    return modules.Through(lambda net, x: net(step(x)))


def saliency(done: Exported, x: np.ndarray) -> np.ndarray:
    with Explainer(done.path) as explainer:
        return explainer.attribute(x, 0, method=Saliency(absolute=False)).values


def expected(module: nn.Module, x: np.ndarray) -> np.ndarray:
    given = torch.from_numpy(x).requires_grad_()
    scores = torch.softmax(module(given).reshape(len(x), -1), 1)[:, 0]
    return torch.autograd.grad(scores.sum(), given)[0].numpy()


STEPS: dict[str, Step] = {
    "float": lambda x: torch.tanh(x.float()),
    "to float32": lambda x: torch.tanh(x).to(torch.float32),
    "type": lambda x: torch.tanh(x).type(torch.float32),
    "an older name": lambda x: torch.tanh(x).type("torch.FloatTensor"),
    "an older class": lambda x: torch.tanh(x).type(torch.FloatTensor),
    "asked after": lambda x: torch.tanh(x) if x.dtype == torch.float32 else x,
    "asked after by name": lambda x: torch.tanh(x) if x.type() == "torch.FloatTensor" else x,
    "double and back": lambda x: torch.softmax(x.double(), 1).float(),
    "a table in float64": lambda x: x * torch.linspace(1, 2, 6, dtype=torch.float64).to(x.dtype),
}


@FORMS
@pytest.mark.parametrize("name", STEPS)
def test_types_that_the_module_names(tmp_path: Path, name: str, suffix: str) -> None:
    module = doing(STEPS[name])
    done = gradient_from_torch(module, ROW, tmp_path / f"g{suffix}")
    x = np.random.default_rng(0).random((3, 6)).astype(np.float32)
    np.testing.assert_allclose(saliency(done, x), expected(module, x), rtol=1e-4, atol=1e-6)


@FORMS
@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_logits_in_another_type(tmp_path: Path, dtype: torch.dtype, suffix: str) -> None:
    module = modules.Through(lambda net, x: net(x).to(dtype))
    done = gradient_from_torch(module, ROW, tmp_path / f"g{suffix}")
    x = np.random.default_rng(0).random((3, 6)).astype(np.float32)
    near = 1e-5 if dtype == torch.float64 else 1e-2
    np.testing.assert_allclose(saliency(done, x), expected(module, x), rtol=near, atol=near)


@FORMS
def test_buffers_are_left_as_they_were(tmp_path: Path, suffix: str) -> None:
    module = modules.Through(lambda net, x: net(x))
    module.register_buffer("seen", torch.zeros(()))

    def count(module: nn.Module, given: object, out: object) -> None:
        module.seen.add_(1)

    module.register_forward_hook(count)
    with contextlib.suppress(ModelError):  # what counts is that nothing of it stays
        gradient_from_torch(module, ROW, tmp_path / f"g{suffix}")
    assert module.seen == 0


@FORMS
def test_a_module_that_is_torchscript_already(tmp_path: Path, suffix: str) -> None:
    traced = torch.jit.trace(modules.Through(lambda net, x: net(x)).eval(), ROW)
    with pytest.raises(ModelError, match=r"is TorchScript already: give the torch\.nn\.Module"):
        gradient_from_torch(traced, ROW, tmp_path / f"g{suffix}")


@FORMS
def test_autocast_changes_nothing(tmp_path: Path, suffix: str) -> None:
    """The file says which type it computes in; afterwards autocast works as before."""

    def narrow(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return net(x)

    module = modules.Through(narrow)
    done = gradient_from_torch(module, ROW, tmp_path / f"g{suffix}")
    assert done.verification.error < 1e-5
    x = np.random.default_rng(0).random((3, 6)).astype(np.float32)
    np.testing.assert_allclose(saliency(done, x), expected(module.net, x), rtol=1e-4, atol=1e-6)
    assert module(ROW).dtype == torch.bfloat16


class Masked(nn.Module):
    """torch makes nested tensors of what a mask leaves, and one fused operator of the layer."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x, src_key_padding_mask=padding)[:, 0])


@FORMS
def test_an_encoder_with_a_mask(tmp_path: Path, suffix: str) -> None:
    module = modules.made(Masked)
    padding = torch.zeros(1, 5, dtype=torch.bool)
    padding[:, 3:] = True
    done = gradient_from_torch(module, (torch.rand(1, 5, 8), padding), tmp_path / f"g{suffix}")
    assert done.verification.error < 1e-5 and done.manifest.companions[0].name == "padding"
    assert torch.backends.mha.get_fastpath_enabled()


@FORMS
@pytest.mark.parametrize(("rows", "fill"), [(1, 0), (2, 1)])
def test_a_table_with_one_row_is_read_at_its_first(tmp_path: Path, rows: int, fill: int, suffix: str) -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.net = nn.Embedding(rows, 6), modules.tiny()

        def forward(self, x: torch.Tensor, kind: torch.Tensor) -> torch.Tensor:
            return self.net(x + self.table(kind))

    path = tmp_path / f"g{suffix}"
    done = gradient_from_torch(modules.made(Table), (ROW, torch.zeros(1, dtype=torch.int64)), path)
    if suffix == ".onnx":
        assert done.manifest.companions[0].fill == fill
        assert verify(path).error < 1e-5


class Wide(nn.Module):
    """A convolution in float64 between a float32 input and output."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x.double()).float()


@FORMS
def test_layers_in_float64(tmp_path: Path, suffix: str) -> None:
    """ONNX Runtime has no convolution in float64: the file computes in float32, and the module stays."""
    module = modules.made(Wide)
    done = gradient_from_torch(module, IMAGE, tmp_path / f"g{suffix}")
    if suffix == ".onnx":
        onnxruntime.InferenceSession(done.path, providers=["CPUExecutionProvider"])
        assert "Conv" in done.notes[0] and "float32 throughout" in done.notes[0]
    x = np.random.default_rng(0).random((3, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(saliency(done, x), expected(module, x), rtol=1e-3, atol=1e-6)
    assert {p.dtype for p in module.parameters()} == {torch.float64}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_modules_in_another_type_are_told_what_to_do(tmp_path: Path, dtype: torch.dtype) -> None:
    module = modules.made(modules.tiny).to(dtype)
    for example in (ROW, ROW.to(dtype)):
        with pytest.raises(ModelError, match=r"module\.float\(\)"):
            gradient_from_torch(module, example, tmp_path / "g.onnx")
    assert list(tmp_path.iterdir()) == []


class Conv2dArgument(nn.Module):
    """Its arguments have the names that torch gives to the results of operators."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(10, 4), nn.Linear(18, 3)

    def forward(self, tanh: torch.Tensor, cat: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([torch.tanh(tanh), self.table(cat).flatten(1)], 1))


@FORMS
def test_arguments_with_the_names_of_operators(tmp_path: Path, suffix: str) -> None:
    done = gradient_from_torch(
        modules.made(Conv2dArgument), (ROW, torch.zeros(1, 3, dtype=torch.int64)), tmp_path / f"g{suffix}"
    )
    assert done.manifest.input == "tanh"
    assert [c.name for c in done.manifest.companions] == ["cat"]


@FORMS
@pytest.mark.parametrize("name", ["input", "float", "torch", "lambda", "logits", "values", "linear"])
def test_any_name_of_an_argument(tmp_path: Path, name: str, suffix: str) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = modules.made(modules.tiny)

        def forward(self, **given: torch.Tensor) -> torch.Tensor:
            return self.net(given[name])

    done = gradient_from_torch(Named(), {name: ROW}, tmp_path / f"g{suffix}")
    assert done.manifest.input == name
    x = np.random.default_rng(0).random((3, 6)).astype(np.float32)
    assert np.isfinite(saliency(done, x)).all()


HEADS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "logits": lambda z: z[:, :, None, None],
    "a sequence of one": lambda z: z[:, None],
    "probabilities": lambda z: torch.softmax(z[:, :, None, None], 1),
}


@FORMS
@pytest.mark.parametrize("name", HEADS)
def test_sizes_of_one_beside_the_classes(tmp_path: Path, name: str, suffix: str) -> None:
    class Headed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = modules.made(modules.tiny)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return HEADS[name](self.net(x))

    module = Headed()
    done = gradient_from_torch(module, ROW, tmp_path / f"g{suffix}")
    assert done.manifest.classes == modules.CLASSES
    x = np.random.default_rng(0).random((3, 6)).astype(np.float32)
    np.testing.assert_allclose(saliency(done, x), expected(module.net, x), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rows", [len, lambda x: int(x.shape[0])])
def test_a_batch_size_that_becomes_a_number_is_named(
    tmp_path: Path, rows: Callable[[torch.Tensor], int]
) -> None:
    module = doing(lambda x: x.reshape(rows(x), 6))
    with pytest.raises(
        ModelError, match=r"turns the batch size into a number.*x\.shape\[0\] as it is, or -1"
    ):
        gradient_from_torch(module, ROW, tmp_path / "g.pt")


def test_what_torch_cannot_write_as_onnx_is_sent_to_torchscript(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    module = modules.Through(lambda net, x: net(torch.lgamma(1 + x.flatten(1)[:, :6])))
    with pytest.raises(ModelError, match=r"cannot export the module to ONNX .*ends in \.pt"):
        gradient_from_torch(module, IMAGE, tmp_path / "g.onnx")
    printed = "".join(capfd.readouterr())
    assert "graph(" not in printed and "Torch IR" not in printed, printed
    assert gradient_from_torch(module, IMAGE, tmp_path / "g.pt").verification.error < 1e-4


def test_a_head_that_is_all_zero(tmp_path: Path) -> None:
    module = modules.made(modules.tiny)
    nn.init.zeros_(module[2].weight)
    with pytest.raises(ModelError, match=r"zero at all of 4 inputs: load trained weights"):
        gradient_from_torch(module, ROW, tmp_path / "g.onnx")
