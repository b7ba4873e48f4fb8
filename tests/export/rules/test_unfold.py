"""Overlapping blocks, against central differences."""

from __future__ import annotations

import gradcheck
import pytest

from fluxpath.errors import UnsupportedOperatorError


@pytest.mark.parametrize(
    ("attributes", "image", "block", "columns"),
    [
        ("", [5, 5], [2, 3], (2, 12, 12)),
        ("strides=[2, 2]", [5, 6], [3, 2], (2, 12, 6)),
        ("pads=[1, 0, 1, 2]", [4, 4], [3, 3], (2, 18, 16)),
        ("dilations=[2, 1]", [6, 5], [2, 3], (2, 12, 12)),
        ("strides=[3, 2], pads=[1, 1, 0, 0], dilations=[1, 2]", [6, 5], [2, 2], (2, 8, 4)),
        ("", [3, 3, 4], [2, 2, 2], (2, 16, 12)),
        ("strides=[2, 2]", [4, 4], [2, 2], (2, 8, 4)),
    ],
    ids=str,
)
@pytest.mark.parametrize("dims", ["{}", "batch,{}", "a,b,c"])
def test_col2im(
    dims: str, attributes: str, image: list[int], block: list[int], columns: tuple[int, ...]
) -> None:
    tail = f"{columns[1]},{columns[2]}"
    dims = f"2,{tail}" if dims == "{}" else dims.format(tail)
    text = f"y = Col2Im<{attributes}>(x, i, b)".replace("<>", "")
    gradcheck.check(text, columns, dims=dims, i=image, b=block)


def test_a_computed_image_shape_is_refused() -> None:
    text = "s = Shape<start=1>(x) y = Col2Im(x, s, b)"
    with pytest.raises(UnsupportedOperatorError, match="image shape"):
        gradcheck.differentiated(gradcheck.parse(text, "1,b,c", b=[1, 1]))
