"""The log of rows: whole lines are read, what follows a broken one is not, and writing goes on after them."""

from __future__ import annotations

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.records.rowlog import FOLDER, RowLog, is_log, read_log
from fluxpath.runtime.records.rows import Head, Row

HEAD = Head({"method": "m"}, (2,))
ROWS = [Row(name, 1, 2, 0.5, 3, 4, files={f"{name}.png": 9}) for name in ("a", "ä\n", "\udcff")]


@pytest.fixture
def path(tmp_path):
    log = RowLog(tmp_path / "log.jsonl", HEAD)
    for row in ROWS:
        log.append(row)
    log.close()
    log.close()
    return tmp_path / "log.jsonl"


def test_what_was_appended_comes_back(path):
    log = read_log(path)
    assert (log.head, log.rows) == (HEAD, ROWS)
    data = path.read_bytes()
    assert data[log.begin - 1 : log.begin] == b"\n" and log.ends[-1] == len(data)


def test_a_log_cut_anywhere_has_its_whole_lines(path):
    data, ends = path.read_bytes(), [read_log(path).begin, *read_log(path).ends]
    for size in range(len(data)):
        path.write_bytes(data[:size])
        log = read_log(path)
        if size < ends[0]:
            assert log is None
        else:
            assert log.rows == ROWS[: sum(end <= size for end in ends[1:])]


def test_what_follows_a_broken_line_is_left_out(path):
    lines = path.read_bytes().splitlines(keepends=True)
    for broken in (b"{}\n", b"null\n", b'{"name": \n'):
        path.write_bytes(b"".join([*lines[:2], broken, *lines[2:]]))
        assert read_log(path).rows == ROWS[:1]


def test_writing_goes_on_after_the_rows_that_are_kept(path):
    log = RowLog(path, HEAD, read_log(path).ends[0])
    log.append(ROWS[2])
    log.close()
    after = read_log(path)
    assert after.rows == [ROWS[0], ROWS[2]] and after.ends[-1] == path.stat().st_size


def test_a_file_that_is_no_log_is_somebody_elses(tmp_path):
    (tmp_path / "notes.jsonl").write_text("my notes\n")
    with pytest.raises(InputError, match="is no intact result of fluxpath's"):
        read_log(tmp_path / "notes.jsonl")


def test_a_changed_byte_breaks_its_line(path):
    """Also where the line would still be JSON, as with another digit in a score."""
    data, first = path.read_bytes(), read_log(path).begin
    for place in range(first, len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        lines = data[first:place].count(b"\n")
        assert read_log(path).rows == ROWS[:lines]


def test_a_changed_head_is_somebody_elses(path):
    data = path.read_bytes()
    for place in range(read_log(path).begin - 1):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(InputError, match="is no intact result of fluxpath's"):
            read_log(path)


def test_a_log_says_of_what_it_is(tmp_path):
    path = tmp_path / "log.jsonl"
    RowLog(path, Head({"method": "m"}, (2,), ".npy")).close()
    data = path.read_bytes()
    assert is_log(path, ".npy") and not is_log(path, FOLDER)
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert is_log(path, ".npy")
    path.write_bytes(b'{"fluxpath": 1, "form": ".npy", ')
    assert not is_log(path, ".npy")


def test_a_log_that_goes_on_keeps_the_name_of_its_temporary_file(path):
    def name(keep: int | None = None) -> str:
        log = RowLog(path, HEAD, keep)
        log.close()
        return log.temporary.name

    names = {name(read_log(path).begin), name(), name()}
    assert len(names) == 1
    path.unlink()
    assert name() not in names
