"""Captured evaluations: which batch sizes, and when."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest

from fluxpath.runtime.backends.captures import PLAIN_RUNS, Captures, bucket


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 8, 31, 32, 256])
def test_buckets(slots):
    sizes = [bucket(count, slots) for count in range(1, slots + 1)]
    for count, size in enumerate(sizes, 1):
        assert count <= size <= slots and size < 1.5 * count and bucket(size, slots) == size
    assert len(set(sizes)) <= 2 * np.log2(slots) + 2


def test_a_size_is_captured_when_it_recurs():
    captures = Captures()
    captures.bind(16)
    assert [captures.choose(count) for count in (9, 12, 10)] == [(9, None), (12, None), (10, None)]
    assert PLAIN_RUNS == 3
    assert captures.choose(11) == (12, 1)
    assert captures.choose(9) == (12, 1)
    assert [captures.choose(16) for _ in range(5)] == [(16, None)] * 3 + [(16, 2)] * 2


def test_other_memory_gets_other_numbers():
    """A number stands for addresses that were captured; reusing it would run on memory that is gone."""
    captures = Captures()
    seen = set()
    for _ in range(3):
        captures.bind(4)
        chosen = [captures.choose(4) for _ in range(PLAIN_RUNS + 1)]
        assert chosen[:-1] == [(4, None)] * PLAIN_RUNS
        seen.add(chosen[-1][1])
    assert len(seen) == 3


def test_a_thread_captures_for_itself_where_the_backend_does():
    def in_a_thread(captures):
        found = []
        thread = threading.Thread(target=lambda: found.append(captures.choose(1)))
        thread.start()
        thread.join()
        return found[0]

    for per_thread, elsewhere in ((True, (1, None)), (False, (1, 1))):
        captures = Captures(per_thread=per_thread)
        for _ in range(PLAIN_RUNS + 1):
            here = captures.choose(1)
        assert here == (1, 1)
        assert in_a_thread(captures) == elsewhere


def test_giving_up_is_said_once(caplog):
    captures = Captures()
    with caplog.at_level(logging.WARNING, "fluxpath"):
        captures.give_up("no reason")
        captures.give_up("another")
    assert [record.getMessage() for record in caplog.records] == [
        "evaluations are not captured as CUDA graphs: no reason"
    ]
    assert all(captures.choose(1) == (1, None) for _ in range(PLAIN_RUNS + 2))
    assert all(Captures(allowed=False).choose(1) == (1, None) for _ in range(PLAIN_RUNS + 2))


def test_where_new_sizes_are_dear_each_is_captured_at_once():
    captures = Captures(rounded=True)
    captures.bind(16)
    assert [captures.choose(count) for count in (9, 10, 16, 3, 12)] == [
        (12, 1),
        (12, 1),
        (16, 2),
        (3, 3),
        (12, 1),
    ]


def test_where_new_sizes_are_dear_and_nothing_is_captured_they_change_seldom():
    captures = Captures(False, rounded=True)
    captures.bind(64)
    counts = [50, 40, 64, 33, 17, 16, 10, 5, 4, 3, 1, 2, 20]
    assert [captures.choose(count) for count in counts] == [
        (size, None) for size in (64, 64, 64, 64, 64, 16, 16, 16, 4, 4, 1, 2, 24)
    ]


def test_a_size_that_failed_is_not_kept():
    """As when memory was missing: the engine halves the number of slots, and the size must follow."""
    captures = Captures(False, rounded=True)
    captures.bind(64)
    assert captures.choose(64) == (64, None)
    captures.forget()
    assert captures.choose(32) == (32, None)
