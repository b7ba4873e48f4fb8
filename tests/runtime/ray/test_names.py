"""Sets of names in 16 bytes each."""

from __future__ import annotations

from fluxpath.runtime.ray.names import Names, digest


def test_what_is_in_a_set_and_what_is_not():
    names = Names.of(f"{i}" for i in range(1000))
    assert len(names) == 1000 and all(f"{i}" in names for i in range(1000))
    assert "1000" not in names and "" not in Names.of(())


def test_equal_first_halves_are_told_apart():
    names = Names.of(["a"])
    names.digests[1] ^= 1
    assert "a" not in names


def test_names_do_not_run_together():
    assert digest(["ab", "c"]) != digest(["a", "bc"]) and digest(["\udcff"]) != digest(["\udcfe"])


def test_those_of_files(single):
    names = Names.written([single])
    assert len(names) == 300 and "0/0000.png" in names
