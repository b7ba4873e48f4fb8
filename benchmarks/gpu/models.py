"""The networks that are timed, by name, with their images."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from benchmarks import resnet20
from benchmarks.gpu.place import cifar
from benchmarks.report import cifar_images

Images = npt.NDArray[np.float32]


class Subject(NamedTuple):
    """A network: its name, the module in evaluation mode on the CPU, and the image's shape."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]


LARGE = {
    "ResNet-50": ("resnet50", "resnet50"),
    "EfficientNet-B0": ("efficientnet_b0", "efficientnet_b0"),
    "ViT-B/16": ("vit_b_16", "vit_base_patch16_224"),
}
"""At 224 pixels, by their names in torchvision and timm; random weights, which are as much work."""

NAMES = ("tiny", "ResNet-20", *LARGE)


def subject(name: str) -> Subject:
    """The network; RuntimeError if it is to be had nowhere. "tiny" is for trying the scripts."""
    if name == "tiny":
        return Subject(name, _seeded(_tiny), (3, 8, 8))
    if name == "ResNet-20":
        plain = resnet20.load(cifar("resnet20.onnx"))
        return Subject(name, resnet20.with_batchnorm(plain), (3, 32, 32))
    theirs, timms = LARGE[name]
    makers: list[Callable[[], nn.Module]] = [lambda: _torchvision(theirs), lambda: _timm(timms)]
    reasons = []
    for make in makers:
        try:
            return Subject(name, _seeded(make), (3, 224, 224))
        except Exception as error:  # beside an unfit torch both raise more than ImportError
            reasons.append(str(error).splitlines()[0] if str(error) else type(error).__name__)
    raise RuntimeError(f"neither torchvision nor timm gives {name} ({'; '.join(reasons)})")


def images_of(subject: Subject, count: int) -> Images:
    """CIFAR-10's for ResNet-20, over and over if there are fewer; noise where there are none."""
    file = cifar("images.npz")
    if subject.name == "ResNet-20" and file.exists():
        return np.resize(cifar_images(file), (count, *subject.shape))
    return np.random.default_rng(0).random((count, *subject.shape), np.float32)


def predicted(subject: Subject, images: Images, device: str) -> npt.NDArray[np.int64]:
    """The classes that the network gives the images."""
    model = subject.module.to(device)
    with torch.inference_mode():
        parts = [
            model(torch.from_numpy(x).to(device)).argmax(1).cpu()
            for x in np.split(images, range(32, len(images), 32))
        ]
    subject.module.cpu()
    labels: npt.NDArray[np.int64] = torch.cat(parts).numpy()
    return labels


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


def _tiny() -> nn.Module:
    ends = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5))
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), ends)


def _torchvision(name: str) -> nn.Module:
    import torchvision

    module: nn.Module = torchvision.models.get_model(name, weights=None)
    return module


def _timm(name: str) -> nn.Module:
    import timm

    module: nn.Module = timm.create_model(name, pretrained=False)
    return module
