"""The manifest of a folder of parts."""

from __future__ import annotations

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.records.parts import Part, Parts
from fluxpath.runtime.records.rowlog import MANIFEST
from fluxpath.runtime.records.rows import Head

HEAD = Head({"model": "m", "method": "x"}, (1, 2))
ONE = Part("part-1.parquet", 5, 100)


def test_parts_are_listed_again(tmp_path):
    first = Parts(tmp_path / "out", HEAD, False)
    first.add(ONE)
    first.add(Part("part-2.parquet", 0, 0, {"bad.png": "it is no photo"}))
    first.add(Part("part-2.parquet", 1, 9))
    first.close()
    with (tmp_path / "out" / MANIFEST).open("ab") as file:
        file.write(b'{"name": "part-3.parquet", "ima')  # a run was killed
    (tmp_path / "out" / "part-4.parquet").touch()
    again = Parts(tmp_path / "out", HEAD, True)
    assert list(again.listed.values()) == [ONE, Part("part-2.parquet", 1, 9)]
    assert [path.name for path in again.files] == ["part-1.parquet", "part-2.parquet"]
    assert [path.name for path in again.unlisted()] == ["part-4.parquet"]
    with pytest.raises(InputError, match="another run is writing"):
        Parts(tmp_path / "out", HEAD, True)
    again.close()


def test_what_is_refused(tmp_path):
    parts = Parts(tmp_path / "out", HEAD, True)
    parts.add(ONE)
    parts.close()
    with pytest.raises(InputError, match="continue it with --resume"):
        Parts(tmp_path / "out", HEAD, False)
    with pytest.raises(InputError, match="was written with method x, and this run has y"):
        Parts(tmp_path / "out", Head({"model": "m", "method": "y"}, (1, 2)), True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / MANIFEST).write_text("notes\n")
    with pytest.raises(InputError, match="is no intact result of fluxpath's"):
        Parts(tmp_path / "other", HEAD, True)


def test_nothing_is_left_of_a_run_without_parts(tmp_path):
    Parts(tmp_path / "out", HEAD, True).close()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("entry", [{"name": "../x", "images": 1, "bytes": 1}, {"name": "part-1.parquet"}])
def test_what_is_no_part(entry):
    with pytest.raises((TypeError, ValueError)):
        Part.read(entry)
