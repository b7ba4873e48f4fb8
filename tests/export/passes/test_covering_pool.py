"""A window larger than the image."""

from __future__ import annotations

import gradcheck
import pytest

from fluxpath.export.passes.covering_pool import pool_everything
from fluxpath.export.reading import load


def pooled(attributes: str, dims: str = "batch,2,3,4") -> str:
    model = gradcheck.inferred(load.prepare(gradcheck.parse(f"y = AveragePool<{attributes}>(x)", dims)))
    (node,) = pool_everything(model).graph
    return node.op_type


def test_it_becomes_the_average_over_the_image() -> None:
    assert pooled("kernel_shape=[9, 4], strides=[9, 4], ceil_mode=1") == "GlobalAveragePool"


@pytest.mark.parametrize(
    "attributes",
    [
        "kernel_shape=[3, 4]",
        "kernel_shape=[3, 4], ceil_mode=1",
        "kernel_shape=[3, 2], ceil_mode=1",
        "kernel_shape=[5, 6], pads=[1, 1, 1, 1]",
        "kernel_shape=[5, 6], pads=[1, 1, 1, 1], ceil_mode=1",
        "kernel_shape=[5, 2], strides=[5, 2], ceil_mode=1",
    ],
)
def test_others_stay(attributes: str) -> None:
    assert pooled(attributes) == "AveragePool"


def test_an_image_of_open_size_stays() -> None:
    assert pooled("kernel_shape=[9, 4], ceil_mode=1", "batch,2,h,w") == "AveragePool"
