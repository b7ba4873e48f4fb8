"""The log: whole batches are kept, the rest is cut off, and folders of others are refused."""

from __future__ import annotations

import pytest

from fluxpath.errors import FluxpathError, InputError
from fluxpath.runtime.evaluation.data import Datum
from fluxpath.runtime.evaluation.log import LOG, Line, RunLog, need_all, need_same, read
from fluxpath.runtime.records.rows import Head

HEAD = Head({"model": "m"}, (1, 2))
OUTPUTS = ("report.html",)


def opened(folder, head=HEAD, **options):
    return RunLog(folder, head, OUTPUTS, **options)


def batch(k):
    return [Line(f"image {k}", {"x": k}), Line("", {"batch": k})]


def datum(name, label=1, stamp="as it was"):
    return Datum(name, lambda: None, label, stamp=stamp)


def test_whole_batches_are_kept_and_the_rest_cut_off(tmp_path):
    log = opened(tmp_path / "out")
    log.append(batch(0))
    log.append(batch(1))
    log.close()
    path = tmp_path / "out" / LOG
    whole = path.read_bytes()
    for more in (b"", b'{"name": "image 2", "x', whole.splitlines(keepends=True)[1], b"not json\n"):
        path.write_bytes(whole + more)
        log = opened(tmp_path / "out")
        assert log.batches == 2 and path.read_bytes() == whole
        assert [line.name for line in log.lines()] == ["image 0", "", "image 1", ""]
        log.close()
    path.write_bytes(whole[:-3])
    log = opened(tmp_path / "out")
    assert log.batches == 1
    log.append(batch(1))
    log.close()
    assert path.read_bytes() == whole


def test_a_restart_begins_anew(tmp_path):
    log = opened(tmp_path)
    log.append(batch(0))
    log.close()
    other = Head({"model": "other"}, (1, 2))
    with pytest.raises(InputError, match="was written with model m, and this run has other"):
        opened(tmp_path, other)
    log = opened(tmp_path, other, restart=True)
    assert log.batches == 0 and list(log.lines()) == []
    log.close()


def test_a_run_that_was_killed_before_its_first_batch_bars_no_other(tmp_path):
    log = opened(tmp_path)
    log._log.append(batch(0)[0])
    log._log.close()
    log._held._file.close()  # as the system does with a killed process
    assert (tmp_path / LOG).stat().st_size > 0
    log = opened(tmp_path, Head({"model": "other"}, (1, 2)))
    assert log.batches == 0 and list(log.lines()) == []
    log.close()


def test_a_run_that_measured_nothing_leaves_nothing(tmp_path):
    opened(tmp_path / "new").close()
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    opened(tmp_path / "mine").close()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_files_of_others_are_not_replaced(tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(InputError, match=r"report\.html' would be replaced"):
        opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    (tmp_path / "report.html").unlink()
    (tmp_path / LOG).write_text("mine")
    with pytest.raises(InputError, match="no intact result of fluxpath's"):
        opened(tmp_path)
    assert (tmp_path / LOG).read_text() == "mine"


def test_two_runs_do_not_write_at_once(tmp_path):
    first = opened(tmp_path)
    with pytest.raises(InputError, match="another run is writing"):
        opened(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_a_file_in_the_way_of_the_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot make the folder"):
        opened(tmp_path / "file")


def test_other_data_and_a_failing_disk_are_seen(tmp_path):
    line = Line("a", {"identity": datum("a").identity})
    with pytest.raises(InputError, match="written of other data, with 'a' where there is 'b' now"):
        need_same(datum("b"), line, tmp_path)
    with pytest.raises(InputError, match="with 'a' where there is 'the end' now"):
        need_same(None, line, tmp_path)
    for other in (datum("a", label=2), datum("a", stamp="other")):
        with pytest.raises(InputError, match="'a' has another image, label or mask now"):
            need_same(other, line, tmp_path)
    need_same(datum("a"), line, tmp_path)
    with pytest.raises(FluxpathError, match="the disk fails"):
        need_all(1, 2, tmp_path)


def test_a_broken_log_is_not_read(tmp_path):
    log = opened(tmp_path)
    log.append(batch(0))
    log.close()
    path = tmp_path / LOG
    path.write_bytes(path.read_bytes().replace(b'"x": 0', b'"x": 1'))
    with pytest.raises(InputError, match="no intact result"):
        list(read(path))


def test_names_of_any_bytes_come_back(tmp_path):
    log = opened(tmp_path)
    log.append([Line("a\udcff.jpg", {}), Line("", {})])
    assert [line.name for line in log.lines()] == ["a\udcff.jpg", ""]
    log.close()
