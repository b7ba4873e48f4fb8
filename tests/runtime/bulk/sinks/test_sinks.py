"""What each sink leaves on disk: finished, interrupted, killed in the middle of a row, resumed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sessions import CLASSES, LinearSession

from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.runtime import MFABA, Explainer, NeFLAG
from fluxpath.runtime.bulk.sinks import open_sink
from fluxpath.runtime.bulk.sinks.base import Head
from fluxpath.runtime.bulk.sinks.journal import header

SHAPE = (1, 4, 5)
N = 12
METHOD = MFABA("sharp", step_size=0.05, max_steps=3)
SINKS = ["out.npz", "out.npy", "out.parquet", "folder/"]
FILES = SINKS[:3]
rng = np.random.default_rng(7)
IMAGES = rng.random((N, *SHAPE)).astype(np.float32)
ITEMS = [(f"set {i % 2}/ä{i}.png", image, i % CLASSES) for i, image in enumerate(IMAGES)]


class Pictures(LinearSession):
    """The linear model on small pictures; the manifest has a range."""

    def __init__(self) -> None:
        super().__init__(int(np.prod(SHAPE)))
        self.manifest = Manifest(
            input="image", shape=SHAPE, classes=CLASSES, objective="softmax", opset=20, source="none",
            logits="logits", low=0.0, high=1.0,
        )  # fmt: skip


@pytest.fixture(scope="module")
def explainer():
    with Explainer.from_session(Pictures(), slots=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def expected(explainer):
    return explainer.attribute(IMAGES, [i % CLASSES for i in range(N)], METHOD)


def breaking(at: int, items=ITEMS):
    """The items, but the source breaks."""
    yield from items[:at]
    raise RuntimeError("the source broke")


def interrupted(explainer, path, at=8) -> None:
    with pytest.raises(RuntimeError, match="broke"):
        explainer.attribute_many(breaking(at), path, method=METHOD)


def read(path) -> dict:
    """Any sink's result as columns; values [n, *SHAPE]."""
    if path.suffix == ".npz":
        with np.load(path) as file:
            return dict(file)
    if path.suffix == ".parquet":
        import pyarrow.parquet

        columns = pyarrow.parquet.read_table(path).to_pydict()
        columns["values"] = np.array(columns["values"], np.float32).reshape(-1, *SHAPE)
        return {k: np.array(v) for k, v in columns.items()}
    log = path / "results.jsonl" if path.is_dir() else path.with_suffix(".jsonl")
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()][1:]
    columns = {
        k: np.array([r[k] for r in rows]) for k in ("name", "target", "label", "score", "steps", "status")
    }
    if path.is_dir():
        columns["files"] = [path / f for r in rows for f in r["files"]]
    else:
        columns["values"] = np.load(path)
    return columns


def check(path, expected, order=range(N)) -> None:
    columns, order = read(path), list(order)
    assert list(columns["name"]) == [ITEMS[i][0] for i in order]
    for key in ("target", "label", "steps", "status"):
        np.testing.assert_array_equal(columns[key], getattr(expected, key)[order])
    np.testing.assert_allclose(columns["score"], expected.score[order], rtol=1e-6)
    if "values" in columns:
        np.testing.assert_array_equal(columns["values"], expected.values[order])
        assert sorted(p.name for p in path.parent.iterdir()) in (
            [path.name], sorted([path.name, "out.jsonl"])
        )  # fmt: skip
    else:
        for file in columns["files"]:
            with Image.open(file) as picture:
                assert max(picture.size) == 224
        found = {p for p in path.rglob("*") if p.is_file() and p.name != "results.jsonl"}
        assert found == set(columns["files"])


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


KILLED = """
import os, signal, sys
sys.path[:0] = {paths!r}
import test_sinks as t

def source():
    yield from t.ITEMS[:8]
    os.kill(os.getpid(), signal.SIGKILL)

with t.Explainer.from_session(t.Pictures(), slots=2) as explainer:
    explainer.attribute_many(source(), {sink!r}, method=t.METHOD)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
@pytest.mark.parametrize("name", SINKS)
def test_a_killed_process_leaves_what_it_wrote(explainer, expected, tmp_path, name):
    here = Path(__file__).resolve().parent
    script = KILLED.format(paths=[str(here), str(here.parents[2])], sink=f"{tmp_path}/{name}")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert explainer.attribute_many(ITEMS, f"{tmp_path}/{name}", method=METHOD).skipped >= 8 - 2 * 2
    check(tmp_path / name, expected)


def test_a_folder_after_a_kill(explainer, expected, tmp_path):
    """A picture cut short or deleted, and a line of results.jsonl cut short."""
    folder = tmp_path / "folder"
    interrupted(explainer, folder, at=N)
    files = read(folder)["files"]
    count = len(files)
    with files[0].open("r+b") as file:
        file.truncate(50)
    files[1].unlink()
    log = folder / "results.jsonl"
    log.write_bytes(log.read_bytes()[:-7])
    summary = explainer.attribute_many(ITEMS, folder, method=METHOD)
    assert summary.skipped == count - 3
    for file in list(folder.rglob("*.png")):
        Image.open(file).close()
    assert len(list(folder.rglob("*.png"))) == N
    assert explainer.attribute_many(ITEMS, folder, method=METHOD).skipped == N


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
        explainer.attribute_many(ITEMS, path.parent if path.suffix == ".jsonl" else path, method=METHOD)
    assert path.read_bytes() == b"somebody's own file\n"


@pytest.mark.parametrize("name", SINKS)
def test_all_damaged_is_an_empty_result(explainer, tmp_path, name):
    summary = explainer.attribute_many([IMAGES[0] + np.nan], f"{tmp_path}/{name}", method=METHOD)
    assert list(summary.failures) == ["000000"]
    columns = read(tmp_path / name)
    assert len(columns["name"]) == 0
    if "values" in columns:
        assert columns["values"].shape == (0, *SHAPE)


@pytest.mark.parametrize("name", FILES)
def test_several_end_points_have_no_end_score(explainer, tmp_path, name):
    explainer.attribute_many(ITEMS, tmp_path / name, method=NeFLAG(n=2))
    if name != "out.npy":
        ends = read(tmp_path / name)["end_score"]
        assert all(e is None or np.isnan(e) for e in ends)
    assert explainer.attribute_many(ITEMS, tmp_path / name, method=NeFLAG(n=2)).skipped == N


def test_names_that_clash_or_leave_the_folder(explainer, tmp_path):
    names = ["a.png", "a.jpg", "a-2.png", "/abs/b.png", "../c.png", "v1.5", "", "q?.png"]
    items = [(name, IMAGES[0]) for name in names]
    explainer.attribute_many(items, tmp_path / "folder", method=METHOD)
    assert explainer.attribute_many(items, tmp_path / "folder", method=METHOD).skipped == len(names)
    found = sorted(str(p.relative_to(tmp_path / "folder")) for p in (tmp_path / "folder").rglob("*.png"))
    assert found == sorted(
        ["a.png", "a-2.png", "a-2-2.png", "b.png", "c.png", "v1.5.png", "image.png", "q_.png"]
    )


def test_a_folder_of_photos(explainer, tmp_path):
    """With the folders in it; hidden files, other files and fluxpath's own folders are not looked at."""
    photos = tmp_path / "photos"
    for name in ("b/2.png", "b/1.JPG", "a.png", ".hidden/x.png", ".y.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (9, 9), np.uint8)).save(photos / name)
    (photos / "notes.txt").write_text("no image")
    (photos / "b" / "broken.png").write_bytes(b"\x89PNG no more")
    for _ in range(2):
        summary = explainer.attribute_many(photos, photos / "heat", method=METHOD)
        assert list(summary.failures) == ["b/broken.png"]
        assert "broken.png" in summary.failures["b/broken.png"]
    assert summary.skipped == 3
    assert {str(p.relative_to(photos / "heat")) for p in (photos / "heat").rglob("*.png")} == {
        "a.png", "b/1.png", "b/2.png"
    }  # fmt: skip
    paths = [photos / "b" / "2.png", str(photos / "a.png")]
    explainer.attribute_many(paths, tmp_path / "out.npz", method=METHOD)
    assert list(read(tmp_path / "out.npz")["name"]) == [str(p) for p in paths]


def test_overlays_replace_no_file_of_others(explainer, tmp_path):
    """Neither the photos themselves nor what lies beside them; fluxpath's own overlays are written again."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.jpg"):
        Image.fromarray(rng.integers(0, 255, (9, 9), np.uint8)).save(photos / name)
    before = {path.name: path.read_bytes() for path in photos.iterdir()}
    with pytest.raises(InputError, match="must not lie among them"):
        explainer.attribute_many(photos, photos, method=METHOD)
    with pytest.raises(InputError, match="fluxpath did not write it"):
        explainer.attribute_many([("a.png", photos / "a.png")], photos, method=METHOD, resume=False)
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == before
    for _ in range(2):
        assert explainer.attribute_many(photos, tmp_path / "out", method=METHOD, resume=False).written == 2


def test_overlays_replace_no_array_of_others(explainer, tmp_path):
    np.save(tmp_path / "a.npy", np.arange(3))
    sink = open_sink(f"{tmp_path}/", Head({}, explainer.shape), npy=True)
    with pytest.raises(InputError, match="fluxpath did not write it"):
        sink.write("a.png", IMAGES[0], explainer.attribute(IMAGES[0], method=METHOD))
    sink.close()
    assert list(np.load(tmp_path / "a.npy")) == [0, 1, 2]


def test_parquet_in_several_groups(explainer, expected, tmp_path, monkeypatch):
    """Two rows a group: what is larger than memory is written and read back in pieces."""
    monkeypatch.setattr("fluxpath.runtime.bulk.sinks.parquet.GROUP_BYTES", 2 * IMAGES[0].nbytes)
    explainer.attribute_many(ITEMS[:5], tmp_path / "out.parquet", method=METHOD)
    explainer.attribute_many(ITEMS, tmp_path / "out.parquet", method=METHOD)
    check(tmp_path / "out.parquet", expected)


def test_parquet_without_pyarrow_says_what_to_install(explainer, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    with pytest.raises(InputError, match=r"fluxpath\[parquet\]"):
        explainer.attribute_many(ITEMS, tmp_path / "out.parquet", method=METHOD)


def test_a_foreign_folder_name_with_a_suffix(explainer, tmp_path):
    explainer.attribute_many(ITEMS[:1], f"{tmp_path}/run.v2/", method=METHOD)
    assert (tmp_path / "run.v2" / "set 0" / "ä0.png").exists()
