"""The protocol's JSON and bytes, as far as they are wrong; right ones are in test_v2.py."""

from __future__ import annotations

import json

import pytest
from serving import post

from fluxpath.errors import InputError
from fluxpath.runtime.serve.http import framing


@pytest.mark.parametrize("data", [b"[" * 10**6, b'{"a":' * 10**5, b'{"a": ' + b"9" * 10**5 + b"}"])
def test_json_that_exhausts_its_parser(data):
    with pytest.raises(InputError, match="JSON"):
        framing.read(data, None, 10**7)


def test_json_has_a_limit_of_its_own(small):
    status, _, said = post(small, b" " * 16_000)
    assert status == 400 and "send tensors as bytes" in said["error"]


def head(**changes):
    tensor = {"name": "image", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}
    return json.dumps({"inputs": [tensor | changes]}).encode()


@pytest.mark.parametrize(
    ("data", "length", "said"),
    [
        (b"[]", None, "must be an object"),
        (b"{}", None, "no list 'inputs'"),
        (b'{"inputs": [1]}', None, "no list 'inputs'"),
        (b'{"inputs": [NaN]}', None, "no JSON number"),
        (head() + b"1234", "x", "must be a number of bytes"),
        (head() + b"1234", "99999", "and the body has"),
        (head() + b"123", str(len(head())), "3 bytes are left"),
        (head() + b"12345", str(len(head())), "belong to no input"),
        (head(data=[1.0]) + b"1234", str(len(head(data=[1.0]))), "both data and binary_data_size"),
        (head(parameters={}), None, "neither data nor binary_data_size"),
        (head(parameters=[1]), None, "must be an object"),
    ],
)
def test_what_is_wrong_is_said(data, length, said):
    with pytest.raises(InputError, match=said):
        framing.read(data, length, 10**6)


def test_outputs_are_asked_for_one_by_one_or_all():
    document = {
        "inputs": [],
        "parameters": {"binary_data_output": True, "n": 1},
        "outputs": [{"name": "a", "parameters": {"binary_data": False}}, {"name": "b"}],
    }
    framed = framing.read(json.dumps(document).encode(), None, 10**6)
    assert framed.outputs == ("a", "b") and framed.parameters == {"n": 1}
    assert (framed.is_binary("a"), framed.is_binary("b")) == (False, True)
