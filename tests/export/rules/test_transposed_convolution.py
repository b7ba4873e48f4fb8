"""Transposed convolution against central differences along its input."""

from __future__ import annotations

from typing import Any

import gradcheck
import plain_operators
import pytest

from fluxpath.errors import UnsupportedOperatorError


class ConvTranspose(plain_operators.ConvTranspose):
    """With pads from output_shape and auto_pad, after the standard's formulas."""

    def _run(self, x: Any, w: Any, b: Any = None, **attributes: Any) -> Any:
        n = w.ndim - 2
        auto = attributes.get("auto_pad") or "NOTSET"
        shape = attributes.get("output_shape")
        strides = attributes.get("strides") or [1] * n
        if shape is None and auto.startswith("SAME"):
            shape = [size * s for size, s in zip(x.shape[2:], strides, strict=True)]
        if shape is not None:
            pads = [0] * 2 * n
            for i in range(n):
                dilation = (attributes.get("dilations") or [1] * n)[i]
                extra = (attributes.get("output_padding") or [0] * n)[i]
                reach = (w.shape[2 + i] - 1) * dilation + 1
                total = strides[i] * (x.shape[2 + i] - 1) + extra + reach - shape[i]
                begin = total // 2 if auto == "SAME_UPPER" else total - total // 2
                pads[i], pads[n + i] = begin, total - begin
            attributes["pads"] = pads
        return super()._run(x, w, b, **attributes)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_operators, "ALL", [plain_operators.Conv, ConvTranspose])


@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize(
    "attributes",
    [
        "",
        "strides=[2, 3]",
        "pads=[1, 0, 0, 2]",
        "dilations=[2, 1]",
        "strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1]",
        "strides=[3, 2], output_padding=[2, 0]",
        "strides=[3, 3], dilations=[2, 2], pads=[0, 1, 2, 0], output_padding=[1, 2]",
        'strides=[2, 2], auto_pad="SAME_UPPER"',
        'strides=[2, 2], auto_pad="SAME_LOWER"',
        'strides=[2, 2], auto_pad="VALID"',
        "strides=[2, 2], output_shape=[9, 10]",
        "strides=[2, 2], output_shape=[8, 9]",
    ],
)
def test_conv_transpose(attributes: str, group: int) -> None:
    attributes = ", ".join(a for a in (attributes, f"group={group}") if a)
    gradcheck.check(f"y = ConvTranspose<{attributes}>(x, w, b)", (2, 4, 4, 5), w=(4, 3, 3, 2), b=(3 * group,))


@pytest.mark.parametrize("spatial", [(5,), (3, 4, 3)], ids=str)
def test_one_and_three_axes(spatial: tuple[int, ...]) -> None:
    kernel = (2,) * len(spatial)
    strides = f"strides={[2] * len(spatial)}"
    gradcheck.check(f"y = ConvTranspose<{strides}>(x, w)", (2, 2, *spatial), w=(2, 3, *kernel))


@pytest.mark.parametrize("auto_pad", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
def test_dynamic_sizes(auto_pad: str) -> None:
    text = f'y = ConvTranspose<strides=[2, 2], auto_pad="{auto_pad}">(x, w)'
    gradcheck.check(text, (2, 4, 4, 5), dims="a,4,b,c", w=(4, 3, 3, 2))


def test_an_output_beyond_the_input_is_refused() -> None:
    text = "y = ConvTranspose<strides=[1, 2], dilations=[3, 1], output_padding=[2, 0]>(x, w)"
    with pytest.raises(UnsupportedOperatorError, match="reaches further"):
        gradcheck.differentiated(gradcheck.parse(text, "2,4,4,5", w=(4, 3, 3, 2)))
