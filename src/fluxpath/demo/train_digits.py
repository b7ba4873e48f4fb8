"""Trains the demo's classifier and writes it as a forward ONNX graph: python -m fluxpath.demo.train_digits.

Needs the `bench` extra (torch). The same seed, torch build and kind of processor give the same file.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional as F  # noqa: N812

from fluxpath.demo.digits import test_digits, training_digits
from fluxpath.files import replacing
from fluxpath.telemetry import disable_telemetry

BATCH = 64
LEARNING_RATE = 3e-3
# With plain training, ink on blank paper sways the net as much as ink missing from the stroke, and half the
# heat of its maps lies on the paper. Here an adversary can smudge the paper (add ink) and fade or darken the
# stroke a little, so the net learns that only the stroke is evidence.
PAPER_BELOW = 0.2
SMUDGE = 0.4
STROKE_CHANGE = 0.1
ATTACK_STEPS = 5


def build_net() -> nn.Sequential:
    """The untrained net. It pools by average: on blank paper a maximum is tied and has no unique gradient."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


def smudged(net: nn.Sequential, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The images after signed gradient ascent on the loss, inside the adversary's box."""
    paper = images <= PAPER_BELOW
    low = torch.where(paper, 0.0, -STROKE_CHANGE)
    high = torch.where(paper, SMUDGE, STROKE_CHANGE)
    change = low + (high - low) * torch.rand_like(images)
    for _ in range(ATTACK_STEPS):
        change.requires_grad_(True)
        loss = F.cross_entropy(net((images + change).clamp(0, 1)), labels)
        (gradient,) = torch.autograd.grad(loss, change)
        # Each step is half the widest box, so that every corner can be reached.
        change = (change.detach() + SMUDGE / 2 * gradient.sign()).clamp(low, high)
    return (images + change).clamp(0, 1)


def train(epochs: int, seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    # One thread, because another number of threads sums in another order and trains another net.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    images, labels = (torch.from_numpy(array) for array in training_digits())
    net = build_net()
    optimizer = torch.optim.AdamW(net.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    steps = epochs * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(BATCH):
            attacked = smudged(net, images[chosen], labels[chosen])
            loss = F.cross_entropy(net(attacked), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net


def to_onnx(net: nn.Sequential) -> onnx.ModelProto:
    """The net as an ONNX model, built node by node: torch's exporter would store local paths in it."""
    layers = {"conv1": net[0], "conv2": net[2], "classifier": net[6]}
    weights = [
        numpy_helper.from_array(getattr(layer, kind).detach().numpy(), f"{name}.{kind}")
        for name, layer in layers.items()
        for kind in ("weight", "bias")
    ]
    conv: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["image", "conv1.weight", "conv1.bias"], ["conv1"], "conv1", **conv),
        helper.make_node("Relu", ["conv1"], ["relu1"], "relu1"),
        helper.make_node("Conv", ["relu1", "conv2.weight", "conv2.bias"], ["conv2"], "conv2", **conv),
        helper.make_node("Relu", ["conv2"], ["relu2"], "relu2"),
        helper.make_node("AveragePool", ["relu2"], ["pool"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pool"], ["features"], "features"),
        helper.make_node(
            "Gemm", ["features", "classifier.weight", "classifier.bias"], ["logits"], "classifier", transB=1
        ),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])
    model = helper.make_model(
        helper.make_graph(nodes, "digits", [image], [logits], weights),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
        producer_name="fluxpath",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def accuracy(serialized: bytes) -> float:
    """The share of test images that the serialized model, not the torch net, classifies correctly."""
    images, labels = test_digits()
    disable_telemetry()
    import onnxruntime

    session = onnxruntime.InferenceSession(serialized, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"image": images})
    return float(np.mean(logits.argmax(axis=1) == labels))


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the demo's digit classifier.")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("digits.onnx"))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    serialized = to_onnx(train(options.epochs, options.seed)).SerializeToString(deterministic=True)
    with replacing(options.out) as unfinished:
        unfinished.write_bytes(serialized)
    print(f"{options.out}: {len(serialized)} bytes, test accuracy {accuracy(serialized):.2%}")


if __name__ == "__main__":
    main()
