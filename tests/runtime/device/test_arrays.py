"""Arrays on a device, read and written like numpy's."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from cuda_on_cpu import HostDevice

from fluxpath.runtime.device.arrays import DeviceRows, DeviceVectors
from fluxpath.runtime.device.half import narrowed, widened
from fluxpath.runtime.device.lanes import DeviceLanes


def test_arrays_are_indexed_like_numpys_and_give_their_memory_back():
    device = HostDevice()
    rows = DeviceRows(device, (4, 3), np.float32)
    vectors = DeviceVectors(device, 4, {"step": np.int32, "label": np.int64})
    step = vectors.vectors["step"]
    true = np.arange(12, dtype=np.float32).reshape(4, 3)
    rows[:] = true
    rows[np.array([0, 2])] += 1
    rows[3] = 7.0
    true[[0, 2]] += 1
    true[3] = 7.0
    step[:] = 5
    step[np.array([1, 2])] = [8, 9]
    np.testing.assert_array_equal(rows[:], true)
    np.testing.assert_array_equal(rows[1:3], true[1:3])
    np.testing.assert_array_equal(rows[2], true[2])
    np.testing.assert_array_equal(rows[np.array([False, True, False, True])], true[[1, 3]])
    device.log.clear()
    rows[np.array([3, 0, 1])] = true[2]
    true[[3, 0, 1]] = true[2]
    np.testing.assert_array_equal(rows[:], true)
    assert [entry for entry in device.log if entry[0] == "upload"] == [("upload", 12)]
    vectors.changed()
    assert step[:].tolist() == [5, 8, 9, 5] and step[2] == 9
    for array in (rows, step):
        with pytest.raises(ValueError, match="read-only"):
            array[:2][0] = 1
    del rows, step, vectors, array
    gc.collect()
    assert not device.memory


def test_arrays_on_a_device_are_read_and_written_as_float32():
    lanes = DeviceLanes(HostDevice(), 3, (5,), 0, 1, gradient="bfloat16")
    values = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    lanes.gradient[:] = values
    np.testing.assert_array_equal(lanes.gradient[1], widened(narrowed(values[1], "bfloat16"), "bfloat16"))
    assert lanes.gradient[:].dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        lanes.gradient[:2][0] = 1
