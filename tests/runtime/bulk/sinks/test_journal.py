"""What a broken run's journal gives back."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from sinks import FILES, ITEMS, METHOD, SHAPE, N, check, interrupted

from fluxpath.runtime.bulk.sinks.journal import header


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


@pytest.mark.parametrize("name", FILES)
def test_a_row_of_damaged_values_is_redone(explainer, expected, tmp_path, name):
    """After a power failure a file may have its length and not its content."""
    interrupted(explainer, tmp_path / name)
    with (tmp_path / f"{name}.part").open("r+b") as file:
        file.seek(len(header(SHAPE, 0)) + 4 * int(np.prod(SHAPE)) + 3)
        file.write(b"\0\0\0\0\0")
    assert explainer.attribute_many(ITEMS, tmp_path / name, method=METHOD).skipped == 1
    check(tmp_path / name, expected)
