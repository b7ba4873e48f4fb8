"""Convolutions joined with what follows them: which ones, that nothing changes, and when it is left alone.

cuDNN's operators have no kernels on a CPU: plain ones take their place here.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
import torch_modules
from cuda_on_cpu import HostDevice
from torch import nn

from fluxpath.export import gradient_from_torch
from fluxpath.runtime import Explainer
from fluxpath.runtime.backends import torchscript_device
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.rewrites.fused_convolutions import fuse
from fluxpath.runtime.backends.torchscript_device import TorchScriptDeviceSession

multiple = {"channels": 1}
"""Convolutions of another number of channels have no kernel."""


def convolution_relu(x, w, b, stride, padding, dilation, groups):
    if x.shape[1] % multiple["channels"]:
        raise RuntimeError("unable to find an engine to execute this computation")
    return torch.convolution(x, w, b, stride, padding, dilation, False, [0, 0], groups).relu()


def convolution_add_relu(x, w, z, alpha, b, stride, padding, dilation, groups):
    y = torch.convolution(x, w, b, stride, padding, dilation, False, [0, 0], groups)
    if y.shape != z.shape:
        raise RuntimeError("cuDNN has no engine for this")
    return (y + alpha * z).relu()


@pytest.fixture(scope="module", autouse=True)
def on_the_cpu():
    library = torch.library.Library("aten", "IMPL", "CPU")
    library.impl("cudnn_convolution_relu", convolution_relu)
    library.impl("cudnn_convolution_add_relu", convolution_add_relu)
    yield
    library._destroy()


class Shapes(nn.Module):
    """One convolution, and what `tail` makes of it."""

    def __init__(self, tail, bias=True, groups=1):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, 1, 1, 1, groups, bias)
        self.scale = nn.Parameter(torch.rand(1, 4, 1, 1))
        self.tail = tail

    def forward(self, x):
        y = self.first(x)
        return self.tail(self, y, self.second(y)).mean((2, 3))


TAILS = {
    "a sum and a ReLU": (lambda m, y, z: (z + y).relu(), 1),
    "the other way round": (lambda m, y, z: (y + z).relu(), 1),
    "in place": (lambda m, y, z: z.add_(y).relu_(), 1),
    "a ReLU": (lambda m, y, z: z.relu(), 1),
    "two": (lambda m, y, z: (z.relu() + m.second(y.tanh())).relu(), 2),
    "a factor": (lambda m, y, z: torch.add(z, y, alpha=2).relu(), 0),
    "no ReLU": (lambda m, y, z: z.sigmoid() + y, 0),
    "read twice": (lambda m, y, z: z.relu() + z, 0),
    "the sum is read twice": (lambda m, y, z: (lambda s: s.relu() + s)(z + y), 0),
    "written into another": (lambda m, y, z: (2 * y).add_(z).relu(), 0),
}


def session_of(path):
    return TorchScriptDeviceSession(path, HostDevice(), Options(threads=1))


def outputs(session, images):
    with torch.inference_mode():
        return session._module(images, torch.arange(len(images)) % 3)


@pytest.fixture
def written(tmp_path):
    def write(module, shape=(2, 8, 8)):
        path = tmp_path / "model.grad.pt"
        with torch.random.fork_rng():
            torch.manual_seed(0)
            made = module().eval()
        gradient_from_torch(made, torch.zeros(1, *shape), path)
        return path

    return write


@pytest.mark.parametrize("name", TAILS)
@pytest.mark.parametrize("form", [{}, {"bias": False}, {"groups": 2}])
def test_what_is_joined(written, name, form):
    tail, joined = TAILS[name]
    path = written(lambda: Shapes(tail, **form))
    plain, other = session_of(path), session_of(path)
    assert fuse(other._module.graph) == joined
    images = torch.rand(5, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    given, expected = outputs(other, images), outputs(plain, images)
    for key in expected:
        torch.testing.assert_close(given[key], expected[key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_resnet_on_a_device(written, monkeypatch, channels_last):
    monkeypatch.setattr(torchscript_device, "FUSED", ("cpu",))
    side = torch_modules.SIDE
    path = written(lambda: torch_modules.made(torch_modules.resnet), (3, side, side))
    options = Options(threads=1, channels_last=channels_last)
    session = TorchScriptDeviceSession(path, HostDevice(), options)
    images = np.random.default_rng(0).random((5, 3, side, side)).astype(np.float32)
    with Explainer.from_session(session, slots=4) as there, Explainer(path, threads=1) as here:
        given, expected = there.attribute(images), here.attribute(images)
    assert "aten::cudnn_convolution_add_relu" in str(session._module.graph)
    np.testing.assert_array_equal(given.steps, expected.steps)
    np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)


def fused_wrongly(graph, usual):
    joined = fuse(graph, usual)
    for node in list(graph.nodes()):
        if node.kind() == "aten::cudnn_convolution_relu":
            graph.setInsertPoint(node)
            node.replaceInput(2, graph.insertConstant(list(node.inputs())[2].toIValue() + 1))
    return joined


@pytest.mark.parametrize("wrong", ["refused", "another result"])
def test_the_graph_without_them_is_kept_where_it_goes_wrong(written, monkeypatch, caplog, wrong):
    """A residual that is one number per channel, which only a run can tell; a wrong result."""
    monkeypatch.setattr(torchscript_device, "FUSED", ("cpu",))
    tail = (lambda m, y, z: (z + m.scale).relu()) if wrong == "refused" else (lambda m, y, z: z.relu())
    if wrong != "refused":
        monkeypatch.setattr(torchscript_device, "fuse", fused_wrongly)
    path = written(lambda: Shapes(tail))
    session = session_of(path)
    images = np.random.default_rng(0).random((5, 2, 8, 8)).astype(np.float32)
    with (
        caplog.at_level(logging.INFO, "fluxpath"),
        Explainer.from_session(session, slots=4) as there,
        Explainer(path, threads=1) as here,
    ):
        given, expected = there.attribute(images), here.attribute(images)
    assert "convolutions are not joined" in caplog.text
    assert "cudnn" not in str(session._module.graph)
    np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)


class Channels(nn.Module):
    """Two convolutions with ReLUs, of which the first has an unusual number of channels."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 8, 3), nn.Conv2d(8, 16, 3)

    def forward(self, x):
        return self.second(self.first(x).relu()).relu().mean((2, 3))


def test_unusual_numbers_of_channels_are_left_out_where_they_have_no_kernel(written, monkeypatch):
    monkeypatch.setitem(multiple, "channels", 8)
    monkeypatch.setattr(torchscript_device, "FUSED", ("cpu",))
    path = written(Channels)
    session = session_of(path)
    images = np.random.default_rng(0).random((5, 2, 8, 8)).astype(np.float32)
    with Explainer.from_session(session, slots=4) as there, Explainer(path, threads=1) as here:
        given, expected = there.attribute(images), here.attribute(images)
    kinds = [node.kind() for node in session._module.graph.nodes()]
    assert kinds.count("aten::cudnn_convolution_relu") == kinds.count("aten::convolution") == 1
    np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-6)
