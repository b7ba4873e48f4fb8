"""ResNet-20 for CIFAR-10 as a torch module, with the weights of an ONNX file; see `load`.

python -m benchmarks.resnet20 [MODEL.onnx] compares its logits with those of ONNX Runtime.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import sys
import warnings
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.report import DATA

DEFAULT_MODEL = DATA / "resnet20.onnx"
WIDTHS = (16, 32, 64)
BLOCKS = 3


class Block(nn.Module):
    """Two convolutions beside a shortcut without weights: strided, its channels padded with zeros."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.stride = stride
        self.padding = (width - channels) // 2

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, h, w] to [n, width, h / stride, w / stride]."""
        y = self.conv2(functional.relu(self.conv1(x)))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
            x = functional.pad(x, (0, 0, 0, 0, self.padding, self.padding))
        return functional.relu(y + x)


class ResNet20(nn.Module):
    """Images in [0, 1], [n, 3, 32, 32], to logits; the batch normalisations are folded already."""

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.conv1 = nn.Conv2d(3, WIDTHS[0], 3, padding=1)
        for number, (channels, width) in enumerate(itertools.pairwise((WIDTHS[0], *WIDTHS)), 1):
            first = Block(channels, width, stride=1 if number == 1 else 2)
            rest = [Block(width, width, stride=1) for _ in range(BLOCKS - 1)]
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
        self.linear = nn.Linear(WIDTHS[-1], classes)

    def forward(self, image: Tensor) -> Tensor:
        """The logits, [n, classes]."""
        x = functional.relu(self.conv1((image - self.mean) / self.std))
        for number in range(1, len(WIDTHS) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return self.linear(functional.avg_pool2d(x, 8).flatten(1))


def from_onnx(path: Path) -> ResNet20:
    """The module with the initializers of the file `path`, which has to be this architecture."""
    tensors = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    model = ResNet20(classes=len(tensors["1.linear.bias"]))
    state = {"mean": "0.m", "std": "0.s"}
    for name in model.state_dict().keys() - state.keys():
        # A convolution's bias is what its batch normalisation left, and is named so.
        folded = name.endswith(".bias") and name != "linear.bias"
        state[name] = f"1.{name.removesuffix('.bias')}.weight_bias" if folded else f"1.{name}"
    model.load_state_dict({ours: torch.from_numpy(tensors[theirs].copy()) for ours, theirs in state.items()})
    model.eval()
    return model


def with_batchnorm(model: nn.Module) -> nn.Module:
    """A copy with a BatchNorm2d in place of every convolution's bias: the same function, as it was trained.

    Whoever exports a model to ONNX has the normalisations folded into the convolutions on the way; the
    module that eager PyTorch runs has them as layers. What they were trained to is not in the file, and the
    work does not depend on it: here they shift by the bias and change nothing else.
    """
    copied = copy.deepcopy(model)
    for parent in list(copied.modules()):
        for name, conv in list(parent.named_children()):
            if isinstance(conv, nn.Conv2d) and conv.bias is not None:
                norm = nn.BatchNorm2d(conv.out_channels)
                norm.running_var.fill_(1 - norm.eps)
                norm.bias.data.copy_(conv.bias.data)
                conv.bias = None
                setattr(parent, name, nn.Sequential(conv, norm))
    return copied.eval()


def random(seed: int = 0) -> ResNet20:
    """The module with random weights: as much work, and logits that mean nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = ResNet20()
    model.eval()
    return model


def load(path: Path = DEFAULT_MODEL) -> ResNet20:
    """The module with the weights of `path`, or with random ones where there is no such file."""
    return from_onnx(path) if path.is_file() else random()


def trained(path: Path) -> nn.Module:
    """`load`, as the module was trained: with batch normalisations."""
    return with_batchnorm(load(path))


def to_onnx(model: ResNet20, path: Path) -> None:
    """Write `model` to the file `path`; torch's older exporter needs no further package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(2, 3, 32, 32),),
            str(path),
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )


def main() -> int:
    """Compare the logits of module and file on random images; 1 if they differ by more than 1e-4."""
    import onnxruntime

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path, default=DEFAULT_MODEL)
    path: Path = parser.parse_args().model
    images = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    with torch.no_grad():
        error = float((from_onnx(path)(images) - torch.from_numpy(expected)).abs().max())
    print(f"largest difference of a logit: {error:.2e}")
    return int(error > 1e-4)


if __name__ == "__main__":
    sys.exit(main())
