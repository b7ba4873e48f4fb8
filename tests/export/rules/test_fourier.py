"""Fourier transforms against central differences."""

from __future__ import annotations

import gradcheck
import numpy as np
import onnx
import pytest

from fluxpath.errors import UnsupportedOperatorError
from fluxpath.export.reading import load


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("inverse", [0, 1])
@pytest.mark.parametrize("length", [None, 5, 8, 7])
def test_dft(length: int | None, inverse: int, parts: int) -> None:
    constants = {} if length is None else {"n": np.array(length)}
    operands = "x" if length is None else "x, n"
    gradcheck.check(f"y = DFT<inverse={inverse}>({operands})", (2, 3, 7, parts), **constants)
    gradcheck.check(f"y = DFT<inverse={inverse}>({operands})", (2, 7, 3, parts), opset=18, **constants)


@pytest.mark.parametrize("length", [None, 5, 8, 7])
def test_dft_of_a_real_signal(length: int | None) -> None:
    constants = {} if length is None else {"n": np.array(length)}
    operands = "x" if length is None else "x, n"
    gradcheck.check(f"y = DFT<onesided=1>({operands})", (2, 7, 1), **constants)


@pytest.mark.parametrize("length", [None, 6, 9])
def test_dft_to_a_real_signal(length: int | None) -> None:
    constants = {} if length is None else {"n": np.array(length)}
    operands = "x" if length is None else "x, n"
    gradcheck.check(f"y = DFT<onesided=1, inverse=1>({operands})", (2, 5, 2), **constants)


def test_dft_along_another_axis() -> None:
    gradcheck.check("y = DFT(x, , a)", (2, 5, 3, 1), a=np.array(1))
    gradcheck.check("y = DFT<axis=2>(x)", (2, 5, 3, 1), opset=18)


def test_an_unknown_length_is_refused() -> None:
    with pytest.raises(UnsupportedOperatorError, match="fixed length"):
        gradcheck.differentiated(gradcheck.parse("y = DFT(x)", "a,b,1"))


@pytest.mark.parametrize("onesided", [0, 1])
@pytest.mark.parametrize(("step", "frame"), [(4, 8), (3, 5), (8, 8), (10, 4)])
@pytest.mark.parametrize("opset", [18, 20])
def test_stft(opset: int, step: int, frame: int, onesided: int) -> None:
    node = f"y = STFT<onesided={onesided}>"
    constants = {"s": np.array(step), "opset": opset}
    gradcheck.check(f"{node}(x, s, w)", (2, 30, 1), w=(frame,), **constants)
    gradcheck.check(f"{node}(x, s, , n)", (2, 30, 1), n=np.array(frame), **constants)


def test_stft_is_onesided_by_default() -> None:
    """onnx infers the shape of the other one."""
    text = """<ir_version: 10, opset_import: ["": 20]> graph (float[batch,20,1] x) => (float[a,b,c,d] y)
        <int64 s = {4}> { t = STFT(x, s, , s) y = Relu(t) }"""
    model = gradcheck.inferred(load.prepare(onnx.parser.parse_model(text)))
    (t,) = next(iter(model.graph)).outputs
    assert [str(d) for d in t.shape or []][1:] == ["5", "3", "2"]


def test_stft_of_a_complex_signal() -> None:
    gradcheck.check("y = STFT<onesided=0>(x, s, w)", (2, 20, 2), s=np.array(3), w=(8,))
