"""Tensors from bytes and JSON, and back."""

from __future__ import annotations

import base64
import json
import math

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.serve.protocol import tensors
from fluxpath.runtime.serve.protocol.tensors import DTYPES, from_json, from_raw, of, to_json, to_raw


@pytest.mark.parametrize("datatype", DTYPES)
def test_numbers_come_back_from_bytes_and_from_json(datatype):
    values = np.array([[0, 1, 1], [1, 0, 1]], DTYPES[datatype])
    tensor = of("x", values)
    assert tensor.datatype == datatype
    raw = from_raw("x", datatype, (2, 3), memoryview(to_raw(tensor)))
    nested = from_json("x", datatype, (2, 3), values.tolist())
    flat = from_json("x", datatype, (2, 3), json.loads(to_json(tensor)))
    for again in (raw, nested, flat):
        assert again.array.dtype == values.dtype
        np.testing.assert_array_equal(again.array, values)


def test_every_float32_comes_back_bit_for_bit_from_json():
    bits = np.random.default_rng(0).integers(0, 2**32, 50_000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    again = from_json("x", "FP32", values.shape, json.loads(to_json(of("x", values))))
    np.testing.assert_array_equal(again.array.view(np.uint32), values.view(np.uint32))


def test_what_json_has_no_number_for():
    text = to_json(of("x", np.array([np.nan, np.inf, -np.inf, 1.5], np.float32)))
    assert json.loads(text, parse_constant=pytest.fail) == [None, math.inf, -math.inf, 1.5]


def test_byte_strings():
    parts = [b"", b"\x00\xff", b"abc" * 1000]
    assert from_raw("x", "BYTES", (3,), to_raw(of("x", parts))).strings == parts
    texts = json.loads(to_json(of("x", parts)))
    assert [base64.b64decode(t) for t in texts] == parts
    assert from_json("x", "BYTES", (3,), texts).strings == parts


@pytest.mark.parametrize(
    ("datatype", "shape", "values"),
    [
        ("FP32", (2,), ["1.0", "2.0"]),
        ("FP32", (2,), [1.0, None]),
        ("FP32", (2, 2), [[1.0, 2.0], [3.0]]),
        ("FP32", (3,), [1.0]),
        ("FP32", (1,), {"a": 1}),
        ("UINT8", (1,), [256]),
        ("UINT8", (1,), [-1]),
        ("INT64", (1,), [2**70]),
        ("INT64", (1,), [0.5]),
        ("BOOL", (1,), [2]),
        ("BYTES", (2,), ["a"]),
        ("BYTES", (1,), [1]),
        ("BYTES", (1,), ["\ud800"]),
    ],
)
def test_json_that_is_no_such_tensor(datatype, shape, values):
    with pytest.raises(InputError, match="'x'"):
        from_json("x", datatype, shape, values)


@pytest.mark.parametrize(
    ("datatype", "shape", "data"),
    [
        ("FP32", (2,), b"1234567"),
        ("FP32", (2**31 - 1, 2**31 - 1, 2**31 - 1), b""),
        ("BYTES", (1,), b"\x01"),
        ("BYTES", (1,), b"\xff\xff\xff\xffab"),
        ("BYTES", (1,), b"\0\0\0\0\0\0\0\0"),
        ("BYTES", (2,), b"\0\0\0\0"),
    ],
)
def test_bytes_that_are_no_such_tensor(datatype, shape, data):
    with pytest.raises(InputError, match="'x'"):
        from_raw("x", datatype, shape, data)


@pytest.mark.parametrize(
    ("name", "datatype", "shape"),
    [
        (None, "FP32", [1]), ("", "FP32", [1]), ("x", "float", [1]), ("x", ["FP32"], [1]), ("x", "FP32", 1),
        ("x", "FP32", [-1]), ("x", "FP32", [True]), ("x", "FP32", [1.0]), ("x", "FP32", [1] * 9),
        ("x", "FP32", [2**31]),
    ],
)  # fmt: skip
def test_a_head_that_is_none(name, datatype, shape):
    with pytest.raises(InputError):
        tensors.checked_head(name, datatype, shape)


def test_a_text_that_is_no_base64():
    with pytest.raises(InputError, match="Base64"):
        _ = from_json("x", "BYTES", (1,), ["äöü"]).strings
