"""What a broken run's journal gives back."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from sinks import FILES, ITEMS, METHOD, SHAPE, N, check, interrupted

from fluxpath.errors import FluxpathError
from fluxpath.runtime.bulk.sinks.journal import Journal, header
from fluxpath.runtime.records.rows import Head


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("part", ["part", "rows.part"])
def test_resume_after_a_kill_at_any_byte(explainer, expected, tmp_path, name, part):
    """Whatever the length at which a part was cut, the rest is redone and the result is the same."""
    (tmp_path / "first").mkdir()
    interrupted(explainer, tmp_path / "first" / name)
    whole = (tmp_path / "first" / f"{name}.{part}").stat().st_size
    for k, size in enumerate({*range(0, whole, max(1, whole // 9)), 1, whole - 1}):
        folder = tmp_path / str(k)
        shutil.copytree(tmp_path / "first", folder)
        with (folder / f"{name}.{part}").open("r+b") as file:
            file.truncate(size)
        assert explainer.attribute_many(ITEMS, folder / name, method=METHOD).written >= N - 8
        check(folder / name, expected)


@pytest.mark.parametrize("name", [name for name in FILES if name != "out.jsonl"])
def test_a_row_of_damaged_values_is_redone(explainer, expected, tmp_path, name):
    """After a power failure a file may have its length and not its content."""
    interrupted(explainer, tmp_path / name)
    with (tmp_path / f"{name}.part").open("r+b") as file:
        file.seek(len(header(SHAPE, 0)) + 4 * int(np.prod(SHAPE)) + 3)
        file.write(b"\0\0\0\0\0")
    assert explainer.attribute_many(ITEMS, tmp_path / name, method=METHOD).skipped == 1
    check(tmp_path / name, expected)


def test_a_journal_that_was_let_go_deletes_nothing_of_the_next(tmp_path):
    parts = (tmp_path / "out.npz.part", tmp_path / "out.npz.rows.part")
    first = Journal(*parts, Head({}, SHAPE, ".npz"), tmp_path / "out.npz")
    first.begin()
    first.close(remove=True)
    assert list(tmp_path.iterdir()) == []
    second = Journal(*parts, Head({}, SHAPE, ".npz"), tmp_path / "out.npz")
    second.begin()
    first.close(remove=True)
    second.check()
    second.close(remove=True)


def test_a_log_that_lost_rows_is_not_made_a_result(explainer, tmp_path):
    def source():
        yield from ITEMS[:6]
        with (tmp_path / "out.npz.rows.part").open("r+b") as file:
            file.truncate(500)
        yield ITEMS[6]

    with pytest.raises(FluxpathError, match=r"out\.npz\.rows\.part' does not hold what was written to it"):
        explainer.attribute_many(source(), tmp_path / "out.npz", method=METHOD)
    assert not (tmp_path / "out.npz").exists()
