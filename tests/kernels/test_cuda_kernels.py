"""The CUDA kernels against the CPU extension: their source run on the CPU, and on a GPU if there is one."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest
from cuda_on_cpu import HostDevice
from slots import COUNTS, FLOATS, ROWS, Slots, at
from twins import mfaba, relative_error

from fluxpath import kernels
from fluxpath.kernels import gpu
from fluxpath.runtime.device.arrays import DeviceRows
from fluxpath.runtime.device.kernel import DeviceKernel

NOTES = {
    "first_score": np.float32,
    **dict.fromkeys(("first_label", "first_target"), np.int64),
    "begun": np.int32,
}
SIZES = [1, 3, 4, 1000, 2047, 2048, 2050, 6000, 8193, 16400]


class OnDevice:
    """The arrays of `Slots` on a device."""

    def __init__(self, device, slots: Slots, gradient="float32"):
        count = len(slots.step)
        given = {**slots.arrays, **{n: np.zeros(count, d) for n, d in NOTES.items()}}
        self.arrays = {n: DeviceRows(device, a.shape, a.dtype) for n, a in given.items()}
        for name, array in given.items():
            self.arrays[name][:] = array
        self.kernel = DeviceKernel(device, self.arrays, gradient)

    def read(self):
        return {name: array[:] for name, array in self.arrays.items()}


def method(ascent="sharp", rule="trapezoid", path="taylor", max_steps=3, **relative):
    return kernels.Mfaba(
        sharp=ascent == "sharp",
        trapezoid=rule == "trapezoid",
        norm_path=path == "norm",
        max_steps=max_steps,
        step_size=0.05,
        radius=math.inf if ascent == "sharp" else 0.3,
        low=-0.25,
        high=1.125,
        **relative,
    )


NEFLAG = {
    stop: kernels.Neflag(stop_at_flux=stop == "flux", max_steps=3, radius=0.1, low=0.0, high=1.0)
    for stop in ("flux", "label")
}


def same(device_arrays, slots: Slots, exact=True):
    for name in (*ROWS, *FLOATS, *COUNTS, "label", "target"):
        given, expected = device_arrays[name], slots.arrays[name]
        if exact or expected.dtype.kind != "f":
            np.testing.assert_array_equal(given, expected, err_msg=name)
        else:
            np.testing.assert_allclose(given, expected, rtol=2e-6, atol=1e-6, err_msg=name)


def prepared(features, seed=0):
    """Slots 0 to 4, of which 1 and 3 are to be walked: slots between them must stay as they are."""
    slots, rng = Slots(5, features, seed), np.random.default_rng(seed)
    for slot in (1, 3):
        slots.begin(slot, rng.random(features).astype(np.float32), target=-1 if slot == 3 else 2)
    return slots, rng


@pytest.mark.parametrize("features", SIZES)
@pytest.mark.parametrize("path", ["taylor", "norm"])
@pytest.mark.parametrize("rule", ["trapezoid", "left"])
@pytest.mark.parametrize("ascent", ["sharp", "smooth"])
def test_mfaba_is_the_cpus(device, ascent, rule, path, features):
    slots, rng = prepared(features)
    there, settings = OnDevice(device, slots), method(ascent, rule, path)
    for _ in range(5):
        going = [s for s in (1, 3) if slots.running(s)]
        for slot in going:
            slots.model(slot, rng.standard_normal(features), 2, rng.uniform(0.5, 2))
        for name in ("gradient", "label", "scale", "score"):
            there.arrays[name][:] = slots.arrays[name]
        slots.kernel.advance_mfaba(at(*going), settings)
        there.kernel.advance_mfaba(at(1, 3), settings)  # those that ended must not change
        same(there.read(), slots, exact=False)


@pytest.mark.parametrize("features", SIZES)
@pytest.mark.parametrize("objective", [0, 1, 2])
@pytest.mark.parametrize("ascent", ["sharp", "smooth"])
def test_lengths_in_units_of_the_distance_are_the_cpus(device, ascent, objective, features):
    slots, rng = prepared(features)
    settings = method(ascent, max_steps=5, relative=True, steady=2, growth=0.5, objective=objective)
    measuring = kernels.Reach(objective=objective, signs=ascent == "smooth")
    sphere = kernels.Neflag(stop_at_flux=True, max_steps=3, radius=0.3, low=0, high=1, relative=True)
    for slot in (1, 3):
        slots.model(slot, rng.standard_normal(features), 2, 0.1, -0.3 if objective == 1 else 0.9)
    there = OnDevice(device, slots)
    for kernel in (slots.kernel, there.kernel):
        kernel.advance_reach(at(1, 3), measuring)
        kernel.start_neflag(at(1, 3), at(0, 7), sphere, 5)
    assert slots.reach[1] > 0 and slots.status[1] == 3
    same(there.read(), slots, exact=False)
    there.arrays["point"][:] = slots.point
    for kernel, status in ((slots.kernel, slots.arrays["status"]), (there.kernel, there.arrays["status"])):
        status[:] = np.array([1, 0, 1, 0, 1], np.int32)
        kernel.advance_neflag(at(1, 3), sphere)
    same(there.read(), slots, exact=False)
    for name in ("point", "pending", "reach"):
        for arrays in (slots.arrays, there.arrays):
            arrays[name][:] = np.zeros_like(slots.arrays[name])
    for arrays in (slots.arrays, there.arrays):
        arrays["step"][:] = np.zeros(5, np.int32)
        arrays["status"][:] = np.array([1, 0, 1, 0, 1], np.int32)
    for _ in range(5):
        slots.kernel.advance_mfaba(at(*(s for s in (1, 3) if slots.running(s))), settings)
        there.kernel.advance_mfaba(at(1, 3), settings)
        same(there.read(), slots, exact=False)


@pytest.mark.parametrize("features", SIZES)
@pytest.mark.parametrize("stop", NEFLAG)
def test_neflag_is_the_cpus(device, stop, features):
    slots, rng = prepared(features)
    there, settings = OnDevice(device, slots), NEFLAG[stop]
    slots.kernel.start_neflag(at(1, 3), at(0, 7), settings, 2**40 + 3)
    there.kernel.start_neflag(at(1, 3), at(0, 7), settings, 2**40 + 3)
    same(there.read(), slots, exact=False)
    there.arrays["point"][:] = slots.point
    for _ in range(5):
        going = [s for s in (1, 3) if slots.running(s)]
        for slot in going:
            slots.model(slot, rng.standard_normal(features), 2, rng.uniform(0.5, 2))
        for name in ("gradient", "label", "scale", "score"):
            there.arrays[name][:] = slots.arrays[name]
        slots.kernel.advance_neflag(at(*going), settings)
        there.kernel.advance_neflag(at(1, 3), settings)
        same(there.read(), slots, exact=False)


@pytest.mark.parametrize("features", SIZES)
@pytest.mark.parametrize(("multiplier", "power"), [(0, 0), (0, 1), (1, 0), (2, 0), (0, 2)])
def test_weighted_gradients_are_the_cpus(device, multiplier, power, features):
    slots, rng = prepared(features)
    slots.pending[:] = rng.random(slots.pending.shape)
    there, settings = OnDevice(device, slots), kernels.Weighted(multiplier=multiplier, power=power)
    shares, weights = (rng.random(2).astype(np.float32) for _ in range(2))
    for kernel in (slots.kernel, there.kernel):
        kernel.start_straight(at(1, 3), shares)
    same(there.read(), slots, exact=False)
    for slot in (1, 3):
        slots.model(slot, rng.standard_normal(features), 2, rng.uniform(0.5, 2))
    for name in ("gradient", "label", "scale", "score"):
        there.arrays[name][:] = slots.arrays[name]
    for kernel in (slots.kernel, there.kernel):
        kernel.advance_weighted(at(1, 3), weights, settings)
    same(there.read(), slots, exact=False)


@pytest.mark.parametrize("features", SIZES)
def test_noise_is_the_cpus(device, features):
    slots, _ = prepared(features)
    there = OnDevice(device, slots)
    for kernel in (slots.kernel, there.kernel):
        kernel.start_noise(at(1, 3), at(0, 7), deviation=0.3, low=0.0, high=1.0, seed=2**40 + 3)
    same(there.read(), slots, exact=False)


@pytest.mark.parametrize("features", [7, 2500])
def test_a_walk_is_the_float64_twins(device, features):
    rng = np.random.default_rng(1)
    slots = Slots(2, features)
    image = rng.random(features).astype(np.float32)
    slots.begin(1, image)
    there = OnDevice(device, slots)
    gradients = (rng.standard_normal(features) + rng.standard_normal((4, features)) / 4).astype(np.float32)
    turn = iter(gradients.astype(np.float64))
    twin = mfaba(
        lambda _: (0.0, 0, next(turn)),
        image.astype(np.float64),
        max_steps=3,
        step_size=0.05,
        low=-0.25,
        high=1.125,
    )
    there.arrays["scale"][1], there.arrays["label"][1] = 1.0, 0
    for gradient in gradients:
        there.arrays["gradient"][1] = gradient
        there.kernel.advance_mfaba(at(1), method())
    assert relative_error(there.read()["sum"][1], twin.values) < 1e-6


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_changes_the_status_alone(device, bad):
    slots, _ = prepared(9000)
    slots.model(1, np.ones(9000), 2, 1.0)
    slots.gradient[1, 8999] = bad
    there = OnDevice(device, slots)
    slots.kernel.advance_mfaba(at(1), method())
    there.kernel.advance_mfaba(at(1), method())
    same(there.read(), slots)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("features", [5, 2052, 8200, 16396])
def test_gradients_of_16_bits(device, kind, features):
    """Every pattern is exactly its float32 value: the walk is that of the widened gradient."""
    slots, rng = prepared(features)
    narrow = rng.standard_normal((5, features)).astype(np.float16)
    narrow[:, ::5] *= np.float16(1e-6)  # subnormal
    bits = narrow.view(np.uint16)
    wide = narrow.astype(np.float32) if kind == "float16" else None
    if wide is None:
        bits = (rng.standard_normal((5, features)).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        wide = (bits.astype(np.uint32) << 16).view(np.float32)
    slots.gradient[:], slots.scale[:], slots.label[:] = wide, 1.0, 2
    there = OnDevice(device, slots, kind)
    packed = np.zeros(slots.gradient.nbytes, np.uint8)
    packed[: bits.nbytes] = bits.reshape(-1).view(np.uint8)
    there.arrays["gradient"][:] = packed.view(np.float32).reshape(slots.gradient.shape)
    for _ in range(2):
        slots.kernel.advance_mfaba(at(1, 3), method())
        there.kernel.advance_mfaba(at(1, 3), method())
    read = there.read()
    for name in ("point", "pending", "sum"):
        np.testing.assert_allclose(read[name], slots.arrays[name], rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("features", [5, 4100])
def test_slots_are_filled_moved_and_noted(device, features):
    slots, _ = prepared(features)
    there = OnDevice(device, slots)
    there.arrays["score"][:] = np.arange(5)
    there.arrays["begun"][:] = 1
    before = there.read()
    image = np.random.default_rng(5).random(features).astype(np.float32)
    there.kernel.fill([2], [image], [-1], [0.25])
    there.kernel.move({4: 2})
    there.kernel.note_start(5)
    after = there.read()
    for slot in (2, 4):
        np.testing.assert_array_equal(after["point"][slot], image)
        np.testing.assert_array_equal(after["image"][slot], image)
        assert not after["pending"][slot].any() and not after["sum"][slot].any()
        assert after["step"][slot] == after["status"][slot] == 0 and after["reach"][slot] == 0.25
        assert after["target"][slot] == after["first_label"][slot] == before["label"][slot]
        assert after["first_score"][slot] == slot and after["begun"][slot] == 1
        assert after["first_target"][slot] == before["label"][slot]
    for name in ("point", "sum", "target", "first_label"):
        np.testing.assert_array_equal(after[name][0], before[name][0])


@pytest.mark.parametrize("features", [6, 2050])
def test_many_slots_in_one_launch(device, features):
    """Lanes of two images, one of them shared, and two moves at once."""
    slots = Slots(6, features)
    there = OnDevice(device, slots)
    first, second = np.random.default_rng(0).random((2, features)).astype(np.float32)
    before = len(device.log) if isinstance(device, HostDevice) else 0
    there.kernel.fill([5, 0, 3, 1], [first, second, first, first], [1, -1, 0, 3], [0, 0.5, 1, 0])
    after = there.read()
    assert after["reach"][[5, 0, 3, 1]].tolist() == [0, 0.5, 1, 0]
    for slot, image, target in ((5, first, 1), (0, second, -1), (3, first, 0), (1, first, 3)):
        np.testing.assert_array_equal(after["image"][slot], image)
        np.testing.assert_array_equal(after["point"][slot], image)
        assert (after["target"][slot], after["begun"][slot]) == (target, 0)
    for slot in (2, 4):
        np.testing.assert_array_equal(after["point"][slot], slots.point[slot])
    there.kernel.move({0: 5, 1: 3})
    moved = there.read()
    for to, source in ((0, 5), (1, 3)):
        for name in ("image", "point", "target", "reach"):
            np.testing.assert_array_equal(moved[name][to], after[name][source])
    if isinstance(device, HostDevice):
        log = [entry for entry in device.log if entry[0] in ("fill_lanes", "move_lanes")]
        chunks = -(-features // gpu.CHUNK)
        assert log == [("fill_lanes", 4 * chunks), ("move_lanes", 2 * chunks)]
        assert device.log[before:].count(("upload", 4 * features)) == 2, "a shared image is copied once"


def test_a_slot_that_is_not_there(device):
    there = OnDevice(device, Slots(4, 7))
    image = np.zeros(7, np.float32)
    for wrong in (-1, 4):
        with pytest.raises(IndexError, match="no such slot"):
            there.kernel.fill([0, wrong], [image, image], [0, 0], [0, 0])
        with pytest.raises(IndexError, match="no such slot"):
            there.kernel.move({wrong: 1})
    there.kernel.fill([], [], [], [])
    there.kernel.move({})
    for wrong in (-1, 4):
        with pytest.raises(IndexError, match="no such slot"):
            there.kernel.advance_mfaba(at(0, wrong), method())
    with pytest.raises(ValueError, match="numbers"):
        there.kernel.start_neflag(at(0, 1), at(0), NEFLAG["flux"], 0)
    there.kernel.advance_mfaba(at(), method())


def test_the_settings_are_the_headers_structs():
    assert (len(bytes(method())), len(bytes(NEFLAG["flux"]))) == (44, 24)
    assert len(bytes(kernels.Reach(objective=0, signs=True))) == 8
    header = (gpu.HERE / "cuda" / "block.cuh").read_text()
    assert f"kThreads = {gpu.THREADS};" in header and f"kChunk = {gpu.CHUNK};" in header
    assert f"kMeasured = {gpu.MEASURED};" in header
    assert ctypes.sizeof(ctypes.c_void_p) == 8
