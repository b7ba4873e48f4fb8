"""The arena's addresses against a slow twin that marks every byte."""

from __future__ import annotations

import random

import numpy as np

from fluxpath.export.accounting.arena import ALIGNMENT, FIRST_REGION, Arena


def test_regions_double_and_a_large_request_gets_one_of_its_own():
    arena = Arena()
    arena.take(100)
    assert (arena.reserved, arena.touched) == (FIRST_REGION, ALIGNMENT)
    arena.take(5 * FIRST_REGION)
    assert arena.reserved == 9 * FIRST_REGION  # 2 and 4 MiB are too small
    arena.take(4 * FIRST_REGION)
    assert arena.reserved == 17 * FIRST_REGION
    assert arena.touched == ALIGNMENT + 5 * FIRST_REGION + 4 * FIRST_REGION


def test_what_is_free_is_used_again_and_grows_together():
    arena = Arena()
    chunks = [arena.take(1000) for _ in range(3)]
    for chunk in (chunks[0], chunks[2], chunks[1]):
        arena.give(chunk)
    before = arena.touched
    whole = arena.take(2500)
    assert whole.start == 0 and arena.touched == before


def test_a_chunk_is_not_cut_for_a_little_less():
    arena = Arena()
    first, _ = arena.take(10 * ALIGNMENT), arena.take(ALIGNMENT)
    arena.give(first)
    small = arena.take(6 * ALIGNMENT)
    assert small.size == 10 * ALIGNMENT and small.start == 0


def test_no_two_chunks_overlap_and_touched_bytes_are_those_ever_given():
    rng, arena, taken = random.Random(0), Arena(), []
    used: dict[int, np.ndarray] = {}
    ever: dict[int, np.ndarray] = {}
    for _ in range(300):
        if taken and rng.random() < 0.45:
            chunk, size = taken.pop(rng.randrange(len(taken)))
            used[chunk.region][chunk.start : chunk.start + size] = False
            arena.give(chunk)
            continue
        size = rng.choice([256, 512, 4096, 65536, 300000])
        chunk = arena.take(size)
        for pages in (used, ever):
            pages.setdefault(chunk.region, np.zeros(2**22, bool))
        assert not used[chunk.region][chunk.start : chunk.start + size].any()
        used[chunk.region][chunk.start : chunk.start + size] = True
        ever[chunk.region][chunk.start : chunk.start + size] = True
        taken.append((chunk, size))
    reached = sum(int(pages.nonzero()[0].max()) + 1 for pages in ever.values())
    assert reached <= arena.touched <= reached + ALIGNMENT * len(ever)
