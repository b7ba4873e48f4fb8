"""What the compiled module refuses: slots that are not there, arrays that do not fit each other."""

from __future__ import annotations

import gc

import numpy as np
import pytest
from slots import COUNTS, ROWS, Slots, at, same_bits

from fluxpath import kernels
from fluxpath.runtime import Status

MFABA = kernels.Mfaba(
    sharp=True, trapezoid=True, norm_path=False, max_steps=5, step_size=0.1, radius=1.0, low=0.0, high=1.0
)
NEFLAG = kernels.Neflag(stop_at_flux=True, max_steps=5, radius=0.1, low=0.0, high=1.0)
CALLS = {
    "advance_mfaba": lambda kernel, slots: kernel.advance_mfaba(slots, MFABA),
    "advance_neflag": lambda kernel, slots: kernel.advance_neflag(slots, NEFLAG),
    "start_neflag": lambda kernel, slots: kernel.start_neflag(slots, np.zeros_like(slots), NEFLAG, 0),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("wrong", [-1, 4, 2**31 - 1, -(2**31)])
def test_a_slot_that_is_not_there_is_an_index_error_and_changes_nothing(call, wrong):
    slots = Slots(4, 7)
    before = slots.copy()
    with pytest.raises(IndexError, match="no such slot"):
        call(slots.kernel, at(0, wrong))
    for name, array in slots.arrays.items():
        assert same_bits(array, before[name])


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_slots_are_no_work(call):
    slots = Slots(4, 7)
    before = slots.copy()
    call(slots.kernel, at())
    for name, array in slots.arrays.items():
        assert same_bits(array, before[name])


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("shape", [(3, 7), (4, 6), (4, 8), (0, 7)])
def test_rows_of_another_shape_are_a_value_error(name, shape):
    arrays = {**Slots(4, 7).arrays, name: np.zeros(shape, np.float32)}
    with pytest.raises(ValueError, match="shape of point"):
        kernels.Lanes(**arrays)


@pytest.mark.parametrize("name", sorted(set(Slots(1, 1).arrays) - set(ROWS)))
@pytest.mark.parametrize("size", [0, 3, 5])
def test_vectors_of_another_size_are_a_value_error(name, size):
    given = Slots(4, 7).arrays
    with pytest.raises(ValueError, match="one entry per slot"):
        kernels.Lanes(**{**given, name: np.zeros(size, given[name].dtype)})


def as_float64(array):
    return array.astype(np.float64)


def read_only(array):
    array.flags.writeable = False
    return array


def strided(array):
    return np.repeat(array, 2, axis=-1)[..., ::2]


@pytest.mark.parametrize("name", Slots(1, 1).arrays)
@pytest.mark.parametrize("spoil", [as_float64, read_only, strided, np.atleast_3d])
def test_arrays_that_cannot_be_used_in_place_are_a_type_error(name, spoil):
    given = Slots(4, 7).arrays
    with pytest.raises(TypeError):
        kernels.Lanes(**{**given, name: spoil(given[name])})


@pytest.mark.parametrize("slots", [np.zeros(2, np.int64), np.zeros((1, 2), np.int32), [0, 1]])
def test_slots_of_another_type_are_a_type_error(slots):
    with pytest.raises(TypeError):
        Slots(4, 7).kernel.advance_mfaba(slots, MFABA)


def test_clear_prepares_one_lane_and_touches_no_other():
    cleared, prepared = Slots(4, 37), Slots(4, 37)
    image = np.random.default_rng(1).random(37, np.float32)
    cleared.kernel.clear(2, image, -1)
    prepared.begin(2, image, -1)
    for name, array in cleared.arrays.items():
        assert same_bits(array, prepared.arrays[name]), name


@pytest.mark.parametrize(
    ("slot", "features", "error"), [(-1, 7, IndexError), (4, 7, IndexError), (0, 6, ValueError)]
)
def test_clear_refuses_what_does_not_fit_and_changes_nothing(slot, features, error):
    slots = Slots(4, 7)
    before = slots.copy()
    with pytest.raises(error):
        slots.kernel.clear(slot, np.zeros(features, np.float32), 0)
    for name, array in slots.arrays.items():
        assert same_bits(array, before[name])


@pytest.mark.parametrize("size", [1, 15, 16, 17, 1000])
def test_the_extent_is_the_least_and_the_largest_value(size):
    values = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    for order in (values, values[::-1].copy(), np.sort(values)):
        assert kernels.extent(order) == (values.min(), values.max())


def test_the_extent_of_infinities_is_infinite():
    values = np.zeros(40, np.float32)
    values[3], values[38] = np.inf, -np.inf
    assert kernels.extent(values) == (-np.inf, np.inf)


@pytest.mark.parametrize("place", [0, 15, 16, 31, 32, 39])
def test_the_extent_with_nan_is_nan(place):
    values = np.linspace(-1, 1, 40, dtype=np.float32)
    values[place] = np.nan
    assert np.isnan(kernels.extent(values)).all()


def test_numbers_must_match_slots():
    with pytest.raises(ValueError, match="numbers"):
        Slots(4, 7).kernel.start_neflag(at(0, 1), at(0), NEFLAG, 0)


def test_a_method_of_the_other_kind_is_a_type_error():
    with pytest.raises(TypeError):
        Slots(4, 7).kernel.advance_mfaba(at(0), NEFLAG)


def test_the_arrays_live_as_long_as_the_lanes():
    kernel = Slots(4, 100_000).kernel
    gc.collect()
    kernel.advance_mfaba(at(0, 1, 2, 3), MFABA)


def test_the_status_numbers_are_those_of_the_header():
    header = (kernels.INCLUDE / "fluxpath" / "lanes.h").read_text()
    for status in Status:
        name = "k" + status.name.title().replace("_", "")
        assert f"{name} = {status.value}," in header
    assert COUNTS == ("step", "status")
