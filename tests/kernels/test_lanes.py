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
    with pytest.raises(ValueError, match="one entry a slot"):
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
