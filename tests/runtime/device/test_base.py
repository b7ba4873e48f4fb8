"""Devices by name."""

from __future__ import annotations

import pytest

from fluxpath.errors import ProviderError
from fluxpath.runtime.device.base import parse


@pytest.mark.parametrize(
    ("text", "meant"),
    [("cpu", ("cpu", 0)), ("cuda", ("cuda", 0)), ("cuda:3", ("cuda", 3)), ("auto", ("auto", 0))],
)
def test_devices_by_name(text, meant):
    assert parse(text) == meant


@pytest.mark.parametrize(
    "text", ["", "cuda:", "cuda:-1", "CUDA", "cpu:0", "cuda:x", "cuda:99999999999", None, 0]
)
def test_a_device_that_has_no_such_name(text):
    with pytest.raises(ProviderError, match="it must be 'cpu', 'cuda', 'cuda:1'"):
        parse(text)
