"""The counter-based generator: the twin against published vectors, the compiled one against the twin."""

from __future__ import annotations

import math

import numpy as np
import pytest
from slots import Slots, at, same_bits
from twins import normals, philox4x32

from fluxpath import kernels

UNIT_SPHERE = kernels.Neflag(stop_at_flux=True, max_steps=1, radius=1.0, low=-math.inf, high=math.inf)

# The known-answer vectors of philox4x32 with 10 rounds in Random123 (Salmon et al.): counter, key, result.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_the_twin_gives_the_published_answers(counter, key, result):
    assert philox4x32(words(counter), words(key)) == words(result)


def unit_vectors(seed: int, lanes: list[int], features: int) -> np.ndarray:
    """What the kernel draws for these lanes: normals divided by their length."""
    slots = Slots(len(lanes), features)
    for slot in range(len(lanes)):
        slots.begin(slot, np.zeros(features, np.float32))
    slots.kernel.start_neflag(at(*range(len(lanes))), at(*lanes), UNIT_SPHERE, seed)
    return slots.point


@pytest.mark.parametrize("features", [1, 2, 3, 4, 5, 17, 1000])
@pytest.mark.parametrize("seed", [0, 1, 2**32, 0xA4093822299F31D0, 2**64 - 1])
def test_the_compiled_normals_are_the_twins(seed, features):
    lanes = [0, 1, 2**31 - 1]
    for lane, given in zip(lanes, unit_vectors(seed, lanes, features), strict=True):
        true = normals(seed, lane, features)
        np.testing.assert_allclose(given, true / np.linalg.norm(true), rtol=0, atol=1e-6)


def test_an_element_does_not_depend_on_how_many_follow_it():
    """Up to the common factor that makes the vector a unit one."""
    short, long = unit_vectors(9, [4], 10)[0], unit_vectors(9, [4], 1000)[0][:10]
    np.testing.assert_allclose(long / np.linalg.norm(long), short, rtol=0, atol=1e-6)


def test_the_same_seed_lane_and_element_are_the_same_bits():
    assert same_bits(unit_vectors(7, [0, 3, 1], 100)[1], unit_vectors(7, [3], 100)[0])


def test_lanes_and_seeds_differ_and_are_uncorrelated():
    n = 20_000
    lanes = [unit_vectors(seed, [lane], n)[0] for seed in (0, 1, 2**32) for lane in (0, 1)]
    products = np.array(lanes, np.float64) @ np.array(lanes, np.float64).T
    assert np.abs(products - np.eye(6)).max() < 5 / math.sqrt(n)


def test_the_numbers_are_standard_normal():
    n = 200_000
    z = unit_vectors(3, [0], n)[0].astype(np.float64) * math.sqrt(n)
    assert abs(z.mean()) < 5 / math.sqrt(n)
    assert abs((z**4).mean() - 3) < 5 * math.sqrt(96 / n)
    for bound in (0.5, 1.0, 2.0, 3.0):
        share = math.erf(bound / math.sqrt(2))
        assert abs((np.abs(z) < bound).mean() - share) < 5 * math.sqrt(share * (1 - share) / n)
