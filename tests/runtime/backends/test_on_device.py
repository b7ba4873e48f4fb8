"""What backends on a device have in common."""

from __future__ import annotations

import pytest
from cuda_on_cpu import HostDevice

from fluxpath.errors import FluxpathError
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.device.lanes import DeviceLanes
from fluxpath.runtime.lanes import Lanes


def test_lanes_must_be_on_the_sessions_device(graph):
    session = OnnxDeviceSession(graph("linear"), HostDevice(), Options(providers=opening.CPU, threads=1))
    for lanes in (
        Lanes(1, session.manifest.shape, 0, 1),
        DeviceLanes(HostDevice(), 1, session.manifest.shape, 0, 1),
    ):
        with pytest.raises(FluxpathError, match="not on the session's device"):
            session.bind(lanes)
