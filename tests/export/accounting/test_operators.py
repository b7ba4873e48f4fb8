"""FLOPs and bytes of single nodes against counts by hand."""

from __future__ import annotations

import pytest

from fluxpath.export.accounting.operators import einsum_flops, flops, traffic


@pytest.mark.parametrize(
    ("op_type", "first", "second", "out", "transposed", "expected"),
    [
        ("Conv", (2, 3, 8, 8), (4, 3, 3, 3), (2, 4, 8, 8), False, 2 * (2 * 4 * 8 * 8) * 27),
        ("Conv", (1, 4, 8, 8), (4, 1, 3, 3), (1, 4, 8, 8), False, 2 * (4 * 8 * 8) * 9),  # depthwise
        ("ConvTranspose", (1, 4, 4, 4), (4, 2, 3, 3), (1, 2, 9, 9), False, 2 * (4 * 4 * 4) * 18),
        ("Gemm", (5, 7), (7, 3), (5, 3), False, 2 * 5 * 7 * 3),
        ("Gemm", (7, 5), (7, 3), (5, 3), True, 2 * 5 * 7 * 3),
        ("MatMul", (2, 4, 5, 6), (2, 4, 6, 7), (2, 4, 5, 7), False, 2 * 2 * 4 * 5 * 6 * 7),
        ("Add", (4,), (4,), (4,), False, 0),
    ],
)
def test_flops(op_type, first, second, out, transposed, expected):
    assert flops(op_type, first, second, out, transposed) == expected


@pytest.mark.parametrize(
    ("equation", "shapes", "expected"),
    [
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)], 2 * 2 * 3 * 4 * 5),
        ("bhid, bhjd", [(2, 3, 4, 5), (2, 3, 6, 5)], 2 * 2 * 3 * 4 * 6 * 5),
        ("...ij,...jk->...ik", [(7, 1, 3, 4), (2, 4, 5)], 2 * 7 * 2 * 3 * 4 * 5),
        ("i...,i->...", [(3, 8), (3,)], 2 * 3 * 8),
        ("ii,i->", [(3, 3), (3,)], 2 * 3),
        ("bij->bi", [(2, 3, 4)], 0),
        ("i,i,i->i", [(3,), (3,), (3,)], None),
    ],
)
def test_flops_of_an_einsum(equation, shapes, expected):
    assert einsum_flops(equation, shapes) == expected


@pytest.mark.parametrize(
    ("op_type", "read", "written", "expected"),
    [
        ("Add", [400, 400], 400, (800, 400)),
        ("Reshape", [400, 16], 400, (0, 0)),
        ("Shape", [400], 32, (0, 0)),
        ("Gather", [4000, 16], 40, (56, 40)),
        ("Transpose", [400], 400, (400, 400)),
    ],
)
def test_bytes(op_type, read, written, expected):
    assert traffic(op_type, read, written) == expected
