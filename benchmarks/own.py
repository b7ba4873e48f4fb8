"""`fluxpath bench` on a model that is here: `make bench`.

    python -m benchmarks.own [options of fluxpath bench]

ResNet-20 and the CIFAR-10 images where they lie beside the project, else the demo's classifier of digits.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from benchmarks import resnet20
from benchmarks.report import DATA
from fluxpath.cli import main as fluxpath
from fluxpath.cli.demo import MODEL as DIGITS
from fluxpath.export import gradient_from_onnx


def cifar10() -> nn.Module:
    """The trained ResNet-20, with batch normalisations."""
    return resnet20.trained(DATA / "resnet20.onnx")


def digits() -> nn.Module:
    """The demo's classifier."""
    from fluxpath.demo.train_digits import build_net

    tensors = {t.name: numpy_helper.to_array(t).copy() for t in onnx.load(DIGITS).graph.initializer}
    net = build_net()
    for name, place in (("conv1", 0), ("conv2", 2), ("classifier", 6)):
        state = {kind: torch.from_numpy(tensors[f"{name}.{kind}"]) for kind in ("weight", "bias")}
        net[place].load_state_dict(state)
    return net.eval()


def main(given: list[str] | None = None) -> int:
    """Export, and run the command; further options are its own."""
    more = sys.argv[1:] if given is None else given
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, graph = DATA / "images.npz", folder / "resnet20.grad.onnx"
        if (DATA / "resnet20.onnx").is_file() and data.is_file():
            factory, model = "cifar10", DATA / "resnet20.onnx"
        else:
            from fluxpath.demo.digits import test_digits

            factory, model, graph = "digits", DIGITS, folder / "digits.grad.onnx"
            np.savez(data := folder / "digits.npz", images=test_digits()[0])
        gradient_from_onnx(model, graph)
        return fluxpath(
            ["bench", str(graph), "--torch", f"benchmarks.own:{factory}", "--data", str(data), *more]
        )


if __name__ == "__main__":
    sys.exit(main())
