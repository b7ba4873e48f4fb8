"""The networks that `python -m benchmarks.gpu` times, with the shapes of their images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from benchmarks import resnet20


class Subject(NamedTuple):
    """A network: its name, the module in evaluation mode on the CPU, and the image's shape."""

    name: str
    module: torch.nn.Module
    shape: tuple[int, ...]


LARGE = {
    "ResNet-50": ("resnet50", "resnet50"),
    "EfficientNet-B0": ("efficientnet_b0", "efficientnet_b0"),
    "ViT-B/16": ("vit_b_16", "vit_base_patch16_224"),
}
"""At 224 pixels, by their names in torchvision and timm; random weights, which are as much work."""


def subjects(names: list[str] | None, quick: bool) -> Iterator[Subject]:
    """Those of the names (None: all); what cannot be had is a line of print. quick: the ResNet-20 alone."""
    if names is None or "ResNet-20" in names:
        yield Subject("ResNet-20", resnet20.with_batchnorm(resnet20.load()), (3, 32, 32))
    for name, (theirs, timms) in LARGE.items():
        if names is not None and name not in names:
            continue
        if quick:
            print(f"skipped: {name}, for --quick")
        elif (module := _made(name, theirs, timms)) is not None:
            yield Subject(name, module, (3, 224, 224))


def _made(name: str, theirs: str, timms: str) -> torch.nn.Module | None:
    reasons = []
    makers: list[Callable[[], torch.nn.Module]] = [lambda: _torchvision(theirs), lambda: _timm(timms)]
    for make in makers:
        try:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                return make().eval()
        except Exception as error:  # beside an unfit torch both raise more than ImportError
            reasons.append(str(error).splitlines()[0] if str(error) else type(error).__name__)
    print(f"skipped: {name}, which torchvision or timm would give ({'; '.join(reasons)})")
    return None


def _torchvision(name: str) -> torch.nn.Module:
    import torchvision

    module: torch.nn.Module = torchvision.models.get_model(name, weights=None)
    return module


def _timm(name: str) -> torch.nn.Module:
    import timm

    module: torch.nn.Module = timm.create_model(name, pretrained=False)
    return module
