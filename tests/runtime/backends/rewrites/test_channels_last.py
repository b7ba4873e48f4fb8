"""Images in channels-last order: the same results, or a sentence that says why not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch_modules as modules
from cuda_on_cpu import FakeCuda, HostDevice
from torch import nn

from fluxpath.errors import InputError
from fluxpath.export import gradient_from_torch
from fluxpath.runtime import MFABA, Explainer, NeFLAG
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.backends.torchscript import TorchScriptSession
from fluxpath.runtime.backends.torchscript_device import TorchScriptDeviceSession
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.lanes import Lanes

SIDE, PLACES = 8, 6 * 8 * 8


def flat(*more: nn.Module) -> nn.Module:
    """Channels and places in one row, which no view can join in channels-last order."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.Flatten(), *more, nn.Linear(PLACES, modules.CLASSES)
    )


def normalised() -> nn.Module:
    """Autograd's formula of GroupNorm passes its kernel contiguous memory, and leaves no trace of that."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.GroupNorm(2, 6), nn.GELU(), nn.Conv2d(6, 6, 3, groups=6),
        nn.Upsample(scale_factor=2), nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(24, modules.CLASSES),
    )  # fmt: skip


def solid() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv3d(6, 4, 2), nn.Flatten(), nn.Linear(4 * 343, 3)
    )


class WrittenView(nn.Module):
    """Writes into `h` by way of a view, and reads it as `h`."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(PLACES, modules.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        rows = h.view(x.shape[0], -1).mul_(0.5)
        return self.last(torch.tanh(h).flatten(1) + rows)


class Strides(WrittenView):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.first(x).as_strided((x.shape[0], PLACES), (PLACES, 1))))


MODULES = {
    "resnet": (modules.resnet, (3, modules.SIDE, modules.SIDE)),
    "vit": (modules.ViT, (3, modules.SIDE, modules.SIDE)),
    "flat": (flat, (3, SIDE, SIDE)),
    "written but not shared": (lambda: flat(nn.ReLU(inplace=True)), (3, SIDE, SIDE)),
    "normalised": (normalised, (3, SIDE, SIDE)),
    "solid": (solid, (3, SIDE, SIDE, SIDE)),
    "written view": (WrittenView, (3, SIDE, SIDE)),
    "strides": (Strides, (3, SIDE, SIDE)),
    "table": (modules.tiny, (6,)),
}
AGREEING = ("resnet", "vit", "flat", "written but not shared", "normalised", "solid")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """`script(name)`: a TorchScript file."""
    folder = tmp_path_factory.mktemp("scripts")

    def export(name):
        build, shape = MODULES[name]
        path = folder / f"{name}.grad.pt"
        if not path.exists():
            gradient_from_torch(modules.made(build), torch.zeros(1, *shape), path)
        return path

    return export


def evaluated(session, lanes):
    """Gradient, score and label of three of four slots, after the script compiler had two runs to look at."""
    rng = np.random.default_rng(0)
    lanes.point[:] = rng.random((4, lanes.features), dtype=np.float32)
    lanes.target[:] = np.array([0, 1, -1, 2])
    session.bind(lanes)
    for _ in range(3):
        session.run(3)
    return [np.array(getattr(lanes, name)[:3]) for name in ("gradient", "score", "label")]


@pytest.mark.parametrize("name", AGREEING)
def test_results_agree_but_for_float32s_rounding(script, name):
    path, shape = script(name), MODULES[name][1]
    expected = evaluated(TorchScriptSession(path), Lanes(4, shape, 0.0, 1.0))
    here = evaluated(TorchScriptSession(path, Options(channels_last=True)), Lanes(4, shape, 0.0, 1.0))
    device = HostDevice()
    session = TorchScriptDeviceSession(path, device, Options(channels_last=True))
    there = evaluated(session, DeviceLanes(device, 4, shape, 0.0, 1.0))
    for gradient, score, label in (here, there):
        assert modules.relative(gradient, expected[0]) < 1e-5
        np.testing.assert_allclose(score, expected[1], rtol=1e-5)
        np.testing.assert_array_equal(label, expected[2])


def test_torch_gets_images_and_weights_in_that_order(script, monkeypatch):
    session = TorchScriptSession(script("flat"), Options(channels_last=True))
    (weight,) = {
        tuple(node.t("value").stride())
        for node in session._module.graph.nodes()
        if node.kind() == "prim::Constant" and node.hasAttribute("value")
        if node.output().type().kind() == "TensorType" and node.t("value").ndim == 4
    }
    assert weight == (27, 1, 9, 3)
    given, module = [], session._module
    session._module = lambda *inputs: given.append(inputs) or module(*inputs)
    evaluated(session, lanes := Lanes(4, (3, SIDE, SIDE), 0.0, 1.0))
    assert given[0][0].is_contiguous(memory_format=torch.channels_last) and not given[0][0].is_contiguous()
    assert torch.equal(given[0][0], torch.from_numpy(lanes.point[:3].reshape(3, 3, SIDE, SIDE)))


def test_kernels_that_may_want_contiguous_memory_get_it(script):
    """On a CPU GroupNorm takes either, on a GPU its backward kernel reads addresses as they come."""
    graph = TorchScriptSession(script("normalised"), Options(channels_last=True))._module.graph
    found = 0
    for node in graph.nodes():
        if node.kind() in ("aten::native_group_norm", "aten::native_group_norm_backward"):
            tensors = [v for v in node.inputs() if v.type().kind() == "TensorType"]
            assert {v.node().kind() for v in tensors} == {"aten::contiguous"}
            found += 1
    assert found == 2


@pytest.mark.parametrize(
    ("name", "what"), [("written view", "a view that is written into"), ("strides", "aten::as_strided")]
)
def test_what_depends_on_addresses_is_refused(script, name, what):
    TorchScriptSession(script(name))
    with pytest.raises(InputError, match=rf"channels_last does not fit '.*', .*\({what}\): leave it out"):
        TorchScriptSession(script(name), Options(channels_last=True))


def test_attributions_agree(script):
    images = np.random.default_rng(1).random((5, 3, modules.SIDE, modules.SIDE), dtype=np.float32)
    for method in (MFABA(max_steps=4), NeFLAG(n=3, max_steps=3)):
        results = []
        for channels_last in (False, True):
            with Explainer(script("resnet"), slots=3, channels_last=channels_last) as explainer:
                results.append(explainer.attribute(images, target=[0, 1, 2, -1, 3], method=method))
        first, second = results
        assert (first.steps == second.steps).all() and (first.target == second.target).all()
        assert first.values.any() and modules.relative(second.values, first.values) < 1e-4


def test_half_precision(tmp_path):
    path, example = tmp_path / "half.grad.pt", torch.zeros(1, 3, SIDE, SIDE)
    gradient_from_torch(modules.made(flat), example, path, precision="float16", gradient_dtype="float16")
    results = [
        evaluated(TorchScriptSession(path, Options(channels_last=c)), Lanes(4, (3, SIDE, SIDE), 0.0, 1.0))[0]
        for c in (False, True)
    ]
    assert modules.relative(results[1], results[0]) < 1e-2


# Where there is no such choice.


def test_tables_are_refused(script, opened, tmp_path):
    with pytest.raises(InputError, match=r"channels_last is for images, .* has shape \(6,\): leave it out"):
        TorchScriptSession(script("table"), Options(channels_last=True))
    gradient_from_torch(modules.made(modules.tiny), torch.zeros(1, 6), tmp_path / "table.grad.onnx")
    with pytest.raises(InputError, match="channels_last is for images"):
        OnnxDeviceSession(
            tmp_path / "table.grad.onnx",
            FakeCuda(),
            Options(providers=opening.CUDA, threads=1, channels_last=True),
        )
