"""What each sink leaves on disk: finished, interrupted, killed, resumed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sinks
from sinks import FILES, IMAGES, ITEMS, METHOD, SHAPE, SINKS, N, breaking, check, interrupted, read

from fluxpath.errors import InputError
from fluxpath.runtime import NeFLAG
from fluxpath.runtime.bulk.sources import photos_in
from fluxpath.runtime.records import rowlog
from fluxpath.runtime.records.rows import FORMAT


@pytest.mark.parametrize("name", SINKS)
def test_a_whole_run(explainer, expected, tmp_path, name):
    summary = explainer.attribute_many(ITEMS, f"{tmp_path}/{name}", method=METHOD)
    assert summary.written == N
    check(tmp_path / name, expected)


@pytest.mark.parametrize("name", SINKS)
def test_an_interrupted_run_resumes(explainer, expected, tmp_path, name):
    path = f"{tmp_path}/{name}"
    interrupted(explainer, path)
    if not name.endswith("/"):
        assert not (tmp_path / name).exists()
    summary = explainer.attribute_many(ITEMS, path, method=METHOD)
    assert summary.skipped >= 8 - 2 * 2  # what was in the window is lost
    assert summary.written == N - summary.skipped
    check(tmp_path / name, expected)
    again = explainer.attribute_many(ITEMS, path, method=METHOD)
    assert (again.written, again.skipped) == (0, N)
    check(tmp_path / name, expected)


@pytest.mark.parametrize("name", SINKS)
def test_names_that_are_not_utf8(explainer, tmp_path, name):
    names = ["ok", "\udcff", r"\udcff", "x/\ud800.png", "\ud83d\ude00", "\U0001f600"]
    items = [(given, IMAGES[0]) for given in names]
    path = f"{tmp_path}/{name}"
    first = explainer.attribute_many(items[:2], path, method=METHOD)
    assert (first.written, first.failures) == (2, {})
    with pytest.raises(RuntimeError, match="broke"):
        explainer.attribute_many(breaking(4, items), path, method=METHOD)
    assert explainer.attribute_many(items, path, method=METHOD).skipped >= 2
    assert explainer.attribute_many(items, path, method=METHOD).skipped == len(names)
    found = [str(n) for n in read(tmp_path / name)["name"]]
    assert found == ["ok", r"\udcff", r"\\udcff", r"x/\ud800.png", r"\ud83d\ude00", "\U0001f600"]
    for file in tmp_path.rglob("*.jsonl"):
        file.read_text(encoding="utf-8")


KILLED = """
import os, signal, sys
sys.path[:0] = [{helpers!r}]
import sinks as t
from fluxpath.runtime import Explainer

def source():
    yield from t.ITEMS[:8]
    os.kill(os.getpid(), signal.SIGKILL)

with Explainer.from_session(t.Pictures(), slots=2) as explainer:
    explainer.attribute_many(source(), {sink!r}, method=t.METHOD)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
@pytest.mark.parametrize("name", SINKS)
def test_a_killed_process_leaves_what_it_wrote(explainer, expected, tmp_path, name):
    script = KILLED.format(helpers=str(Path(sinks.__file__).parent), sink=f"{tmp_path}/{name}")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert explainer.attribute_many(ITEMS, f"{tmp_path}/{name}", method=METHOD).skipped >= 8 - 2 * 2
    check(tmp_path / name, expected)


@pytest.mark.parametrize("name", SINKS)
def test_a_finished_result_gets_more(explainer, expected, tmp_path, name):
    path = f"{tmp_path}/{name}"
    explainer.attribute_many(ITEMS[:5], path, method=METHOD)
    summary = explainer.attribute_many(iter(ITEMS[::-1]), path, method=METHOD)
    assert (summary.written, summary.skipped) == (7, 5)
    check(tmp_path / name, expected, [*range(5), *range(N - 1, 4, -1)])


@pytest.mark.parametrize("name", SINKS)
@pytest.mark.parametrize("finished", [False, True])
def test_runs_do_not_mix(explainer, expected, tmp_path, name, finished):
    path = f"{tmp_path}/{name}"
    if finished:
        explainer.attribute_many(ITEMS, path, method=NeFLAG(n=1))
    else:
        with pytest.raises(RuntimeError):
            explainer.attribute_many(breaking(9), path, method=NeFLAG(n=1))
    with pytest.raises(InputError, match="was written with method NeFLAG"):
        explainer.attribute_many(ITEMS, path, method=METHOD)
    assert explainer.attribute_many(ITEMS, path, method=METHOD, resume=False).written == N
    check(tmp_path / name, expected)


@pytest.mark.parametrize("name", [*FILES, "folder/results.jsonl"])
def test_a_foreign_file_is_not_overwritten(explainer, tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"somebody's own file\n")
    with pytest.raises(InputError, match="start over, or write elsewhere"):
        explainer.attribute_many(ITEMS, path if name in FILES else path.parent, method=METHOD)
    assert path.read_bytes() == b"somebody's own file\n"


@pytest.mark.parametrize("name", SINKS)
def test_all_damaged_is_an_empty_result(explainer, tmp_path, name):
    summary = explainer.attribute_many([IMAGES[0] + np.nan], f"{tmp_path}/{name}", method=METHOD)
    assert list(summary.failures) == ["000000"]
    columns = read(tmp_path / name)
    assert len(columns["name"]) == 0
    if "values" in columns:
        assert columns["values"].shape == (0, *SHAPE)


@pytest.mark.parametrize("name", SINKS)
def test_results_of_an_older_version_are_not_continued(explainer, tmp_path, monkeypatch, name):
    with monkeypatch.context() as old:
        for module in ("records.rows", "records.rowlog", "bulk.sinks.lines"):
            old.setattr(f"fluxpath.runtime.{module}.FORMAT", FORMAT - 1)
        old.setattr(rowlog.is_log, "__defaults__", (FORMAT - 1,))
        explainer.attribute_many(ITEMS, f"{tmp_path}/{name}", method=METHOD)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    for resume in (True, False):
        with pytest.raises(InputError, match="or one of another version or kind"):
            explainer.attribute_many(ITEMS, f"{tmp_path}/{name}", method=METHOD, resume=resume)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    if name == "folder/":
        (tmp_path / "photo.png").touch()
        assert photos_in(tmp_path) == [tmp_path / "photo.png"]
