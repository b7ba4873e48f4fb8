"""How the fused kernels are launched; what they compute is tests/kernels' to show."""

from __future__ import annotations

import models
import numpy as np
import pytest
from cuda_on_cpu import HostDevice

from fluxpath.errors import InputError
from fluxpath.runtime import MFABA, Explainer, IntegratedGradients, NeFLAG, SmoothGrad
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.device.lanes import DeviceLanes


@pytest.mark.parametrize(
    "method",
    [MFABA(), MFABA(path="norm"), NeFLAG(n=3, max_steps=3), IntegratedGradients(steps=5), SmoothGrad(n=5)],
)
def test_the_kernels_are_launched_without_a_look_at_the_device(graph, method):
    """While the gradient graph runs; what the host reads it reads after the last launch."""
    device = HostDevice()
    session = OnnxDeviceSession(graph("smooth"), device, Options(providers=opening.CPU, threads=1))
    run = session.run
    session.run = lambda count: (run(count), device.log.append(("graph", count)))
    ticks = 0
    with Explainer.from_session(session, slots=3) as explainer:
        explainer.attribute(models.images("smooth", 2), method=method)
    names = [name for name, _ in device.log]
    while "graph" in names:
        names = names[names.index("graph") + 1 :]
        tick = names[: names.index("graph")] if "graph" in names else names
        advance = [place for place, name in enumerate(tick) if "_measure_" in name or "_move_" in name]
        if advance:
            ticks += 1
            assert "download" not in tick[: advance[-1]], tick
    assert ticks > 1


def test_more_slots_than_a_grid_is_wide():
    with pytest.raises(InputError, match="slots is 65536, on a GPU it must be at most 65535"):
        DeviceLanes(HostDevice(), 65536, (1,), 0.0, 1.0)


def test_slots_are_sent_once_for_ticks_in_a_row_that_have_the_same():
    device = HostDevice()
    lanes = DeviceLanes(device, 4, (6,), 0.0, 1.0)
    method, sent = MFABA(), []
    for slots in ([0, 1], [0, 1], [0, 1, 2], [0, 1]):
        device.log.clear()
        method.advance(lanes, np.array(slots, np.int32))
        sent.append([size for name, size in device.log if name == "upload"])
    assert sent == [[8], [], [12], [8]]


def test_an_advance_takes_the_settings_it_is_given():
    """The arguments of a launch are kept for the next one with the same settings, not for others."""
    lanes = DeviceLanes(HostDevice(), 1, (4,), 0.0, 1.0)
    lanes.point[:], lanes.gradient[:], lanes.scale[:] = 0.5, 1.0, 1.0
    moved = []
    for size in (0.1, 0.2, 0.1):
        MFABA(step_size=size).advance(lanes, np.zeros(1, np.int32))
        moved.append(float(lanes.pending[0][0]))
    np.testing.assert_allclose(moved, [-0.05, -0.1, -0.05], rtol=1e-6)
