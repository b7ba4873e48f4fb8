"""Rows of a .npy file are numpy's, and a header takes no memory."""

from __future__ import annotations

import io

import numpy as np
import pytest

from fluxpath.npy import Rows


def stored(array, version=None):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version)
    stream.seek(0)
    return stream


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("kind", ["f4", "u1", "i8", "?"])
def test_rows_are_those_of_the_array(version, kind):
    array = np.random.default_rng(0).integers(0, 2, (5, 2, 3)).astype(kind)
    rows = Rows(stored(array, version))
    assert rows.shape == (5, 2, 3) and rows.dtype == array.dtype and rows.size_of(2) == 2 * array[0].nbytes
    np.testing.assert_array_equal(rows.read()[0], array[0])
    np.testing.assert_array_equal(rows.read(4), array[1:])
    with pytest.raises(ValueError, match="truncated"):
        rows.read()


@pytest.mark.parametrize("array", [np.zeros(3), np.array([["a"]]), np.asfortranarray(np.zeros((2, 3)))])
def test_other_arrays_are_refused(array):
    with pytest.raises(ValueError, match="must be rows of numbers in C order"):
        Rows(stored(array))


def test_one_dimension_and_text_if_asked_for():
    rows = Rows(stored(np.array(["a", "bc"])), "U", 1)
    assert [rows.read()[0] for _ in range(2)] == ["a", "bc"]


def test_a_header_that_claims_more_takes_no_memory():
    stream = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": (2**40, 3)}
    np.lib.format.write_array_header_1_0(stream, about)
    stream.seek(0)
    rows = Rows(stream)
    assert rows.shape == (2**40, 3)
    with pytest.raises(ValueError, match="truncated"):
        rows.read()
