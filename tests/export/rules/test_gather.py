"""Reading elements at indices, against central differences."""

from __future__ import annotations

import gradcheck
import numpy as np
import pytest


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(
    "indices",
    [0, -1, [2], [1, 2], [2, 0], [0, 1, 2], [0, 0, -1, 0], [[0, 1], [2, 1]], [[[-2]]]],
    ids=str,
)
@pytest.mark.parametrize("dims", ["3,3,3", "a,b,c"])
def test_gather(axis: int, indices: object, dims: str) -> None:
    gradcheck.check(f"y = Gather<axis={axis}>(x, i)", (3, 3, 3), dims=dims, i=np.asarray(indices, np.int64))


def test_gather_of_few_positions_very_often_scatters() -> None:
    gradcheck.check("y = Gather<axis=1>(x, i)", (2, 50, 3), i=[0] * 20 + [49])


def test_gather_at_computed_indices() -> None:
    gradcheck.check("i = ArgMax<axis=1, keepdims=0>(x) y = Gather(x, i)", (3, 3), dims="3,3")
    gradcheck.check("i = ArgMin<axis=0, keepdims=1>(x) y = Gather<axis=1>(x, i)", (3, 4), dims="a,b")


def test_gather_with_int32_indices() -> None:
    gradcheck.check("y = Gather<axis=1>(x, i)", (2, 4), i=np.array([3, 3, 0], np.int32))
    gradcheck.check("y = Gather<axis=1>(x, i)", (2, 4), dims="a,b", i=np.array([3, 3, 0], np.int32))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("dims", ["3,4", "a,b"])
def test_gather_elements(axis: int, dims: str) -> None:
    indices = np.array([[0, 2, 1, 0], [-1, 2, -3, 0]] if axis == 0 else [[0, 3, -1], [2, 2, 2], [1, -4, 0]])
    gradcheck.check(f"y = GatherElements<axis={axis}>(x, i)", (3, 4), dims=dims, i=indices)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("attributes", ["", ", largest=0"])
def test_top_k(attributes: str, axis: int) -> None:
    gradcheck.check(f"y, i = TopK<axis={axis}{attributes}>(x, k)", (3, 4, 3), dims="a,b,c", k=[2])


@pytest.mark.parametrize(
    ("shape", "batch", "indices"),
    [
        ((3, 4, 2), 0, [[0], [-1], [0]]),
        ((3, 4, 2), 0, [[[0, 1]], [[-1, -2]]]),
        ((3, 4, 2), 0, [2, 1]),
        ((2, 4, 2), 1, [[[1, 1], [3, 0]], [[0, 0], [0, 0]]]),
        ((2, 4, 2), 1, [[2], [-1]]),
        ((2, 2, 4, 2), 2, [[[[0], [1]], [[1], [1]]], [[[3], [-4]], [[2], [0]]]]),
        ((2, 2, 4), 2, [[[0], [1]], [[3], [-1]]]),
    ],
    ids=str,
)
@pytest.mark.parametrize("dynamic", [False, True])
def test_gather_nd(shape: tuple[int, ...], batch: int, indices: list, dynamic: bool) -> None:
    dims = ",".join("abcd"[: len(shape)]) if dynamic else ",".join(map(str, shape))
    gradcheck.check(f"y = GatherND<batch_dims={batch}>(x, i)", shape, dims=dims, i=indices)


@pytest.mark.parametrize("condition", [[True, False, True], [False, True]], ids=str)
@pytest.mark.parametrize("axis", ["", "<axis=0>", "<axis=1>", "<axis=-1>"])
def test_compress(axis: str, condition: list[bool]) -> None:
    gradcheck.check(f"y = Compress{axis}(x, c)", (3, 3, 3), c=np.array(condition))


def test_half_precision_adds_up_in_single() -> None:
    """ONNX Runtime has no float16 ScatterND with addition."""
    text = "h = Cast<to=10>(x) k = Gather(h, i) y = Cast<to=1>(k)"
    found = gradcheck.evaluate(text, np.ones((3, 2)), i=[0, 0, 2]).single
    np.testing.assert_array_equal(found, [[2, 2], [0, 0], [1, 1]])
