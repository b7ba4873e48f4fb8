"""Only files that fluxpath wrote, as what is in them says, are ever replaced; and damage is noticed."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sinks import FILES, IMAGES, ITEMS, METHOD, SINKS, N, breaking, check, interrupted

from fluxpath.errors import FluxpathError, InputError
from fluxpath.runtime import NeFLAG
from fluxpath.runtime.records.rowlog import line_of, read_log
from fluxpath.runtime.records.rows import Row

WAYS = [True, False]
OTHERS = [
    *((name, beside) for name in FILES for beside in (name, f"{name}.part", f"{name}.rows.part")),
    ("out.npy", "out.jsonl"),
    ("folder/", "folder/results.jsonl"),
    ("folder/", "folder/set 0/ä0.png"),
]


def snapshot(folder: Path) -> dict[str, bytes | str]:
    """What is in a folder: contents of files, and where links lead."""
    return {
        str(p.relative_to(folder)): os.readlink(p) if p.is_symlink() else p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_symlink() or p.is_file()
    }


def refused(explainer, path, resume, **settings) -> str:
    with pytest.raises(InputError) as error:
        explainer.attribute_many(ITEMS, path, method=METHOD, resume=resume, **settings)
    return str(error.value)


@pytest.mark.parametrize("resume", WAYS)
@pytest.mark.parametrize(("name", "beside"), OTHERS)
@pytest.mark.parametrize("content", [b'{"my": "training results, 3 weeks"}\n', b"\x93NUMPY and not ours"])
def test_files_of_others_stay(explainer, tmp_path, name, beside, content, resume):
    (tmp_path / beside).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / beside).write_bytes(content)
    assert Path(beside).name in refused(explainer, f"{tmp_path}/{name}", resume)
    left = snapshot(tmp_path)
    assert left.pop(beside) == content
    assert set(left) <= {"folder/results.jsonl"}  # of the pictures before the one that is in the way


@pytest.mark.parametrize("resume", WAYS)
@pytest.mark.parametrize(("name", "beside"), OTHERS)
@pytest.mark.parametrize("dangling", [False, True])
def test_links_are_not_followed(explainer, tmp_path, name, beside, dangling, resume):
    """Not even to a file that fluxpath would know as its own."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "out").mkdir()
    if not dangling:
        interrupted(explainer, f"{tmp_path}/victim/{name}")
        if Path(beside).suffix != ".part":
            explainer.attribute_many(ITEMS, f"{tmp_path}/victim/{name}", method=METHOD)
    link = tmp_path / "out" / beside
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "victim" / beside)
    before = snapshot(tmp_path / "victim")
    assert link.name in refused(explainer, f"{tmp_path}/out/{name}", resume)
    assert snapshot(tmp_path / "victim") == before and link.is_symlink()


@pytest.mark.parametrize("resume", WAYS)
@pytest.mark.parametrize(("name", "beside"), OTHERS)
@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_what_is_no_file_is_in_the_way(explainer, tmp_path, name, beside, kind, resume):
    path = tmp_path / beside
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    if kind == "folder" and beside == name:
        pytest.skip("that is a folder of overlays, whose name has a suffix")
    assert path.name in refused(explainer, f"{tmp_path}/{name}", resume)
    assert path.is_dir() if kind == "folder" else path.is_fifo()


def test_the_rows_of_overlays_are_not_those_of_an_array(explainer, tmp_path):
    explainer.attribute_many(ITEMS, tmp_path / "folder", method=METHOD)
    before = snapshot(tmp_path)
    assert "results.jsonl" in refused(explainer, tmp_path / "folder" / "results.npy", False)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("resume", WAYS)
def test_an_array_beside_rows_of_another_stays(explainer, tmp_path, resume):
    explainer.attribute_many(ITEMS, tmp_path / "out.npy", method=METHOD)
    for others in (np.zeros((N, 7)), np.zeros((N + 1, *IMAGES[0].shape), np.float32)):
        np.save(tmp_path / "out.npy", others)
        assert "out.npy" in refused(explainer, tmp_path / "out.npy", resume)
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), others)


@pytest.mark.parametrize(
    "file", ["../victim/photo.png", "/victim/photo.png", "a/../../victim/photo.png", "C:photo.png"]
)
@pytest.mark.parametrize("sealed", [False, True])
def test_no_path_in_a_log_leaves_its_folder(explainer, expected, tmp_path, file, sealed):
    """Neither where a line was edited, nor where its check was made anew."""
    folder, victim = tmp_path / "folder", tmp_path / "victim" / "photo.png"
    explainer.attribute_many(ITEMS, folder, method=METHOD)
    victim.parent.mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(victim)
    before = victim.read_bytes()
    log = folder / "results.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    row = read_log(log).rows[0]
    (old,) = row.files
    entry = {**row.entry(), "files": {file: 1}}
    lines[1] = line_of(entry) if sealed else lines[1].replace(old.encode(), file.encode())
    log.write_bytes(b"".join(lines))
    explainer.attribute_many(ITEMS, folder, method=METHOD)
    assert victim.read_bytes() == before
    assert [p.name for p in victim.parent.iterdir()] == ["photo.png"]
    check(folder, expected)


def test_folders_behind_links_and_other_runs_folders_are_left_alone(explainer, tmp_path):
    folder, other = tmp_path / "folder", tmp_path / "other"
    explainer.attribute_many(ITEMS, other, method=METHOD)
    before = snapshot(other)
    folder.mkdir()
    (folder / "set 0").symlink_to(other / "set 0")
    assert "is a link that leaves" in refused(explainer, folder, False)
    (folder / "set 0").unlink()
    explainer.attribute_many(ITEMS, folder / "set 0", method=NeFLAG(n=1))
    within = snapshot(folder / "set 0")
    assert "holds the results of another run" in refused(explainer, folder, False)
    assert snapshot(other) == before and snapshot(folder / "set 0") == within


def test_a_picture_that_a_user_put_in_place_of_ours_stays(explainer, tmp_path):
    explainer.attribute_many(ITEMS, tmp_path / "folder", method=METHOD)
    mine = tmp_path / "folder" / "set 0" / "ä0.png"
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(mine)
    before = mine.read_bytes()
    for resume in WAYS:
        assert "fluxpath did not write it" in refused(explainer, tmp_path / "folder", resume)
        assert mine.read_bytes() == before


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_result_is_extended_only_if_it_is_right(explainer, expected, tmp_path, name):
    """One byte anywhere: either it is refused in a sentence, or nothing of it is wrong."""
    (tmp_path / "good").mkdir()
    explainer.attribute_many(ITEMS[:5], tmp_path / "good" / name, method=METHOD)
    rng = random.Random(5)
    count = 0
    for k in range(60):
        folder = tmp_path / str(k)
        shutil.copytree(tmp_path / "good", folder)
        file = rng.choice(sorted(folder.iterdir()))
        data = bytearray(file.read_bytes())
        place = rng.randrange(len(data))
        data[place] ^= rng.randrange(1, 256)
        file.write_bytes(data)
        before = snapshot(folder)
        said = str(folder)
        try:
            explainer.attribute_many(ITEMS, folder / name, method=METHOD)
        except InputError as error:
            said = str(error)
            count += 1
        assert str(folder) in said
        if snapshot(folder) != before:
            check(folder / name, expected)
    assert count > 30


@pytest.mark.parametrize("name", SINKS)
def test_an_output_that_is_deleted_meanwhile_is_an_error(explainer, tmp_path, name):
    def source():
        yield from ITEMS[:6]
        shutil.rmtree(tmp_path / "run")
        yield from ITEMS[6:]

    (tmp_path / "run").mkdir()
    with pytest.raises(FluxpathError, match="somebody deleted or replaced") as error:
        explainer.attribute_many(source(), f"{tmp_path}/run/{name}", method=METHOD)
    assert f"{tmp_path}/run/" in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
def test_values_that_are_deleted_meanwhile_are_an_error(explainer, tmp_path, name):
    def source():
        yield from ITEMS[:6]
        (tmp_path / f"{name}.part").unlink()
        yield from ITEMS[6:]

    with pytest.raises(FluxpathError, match=r"somebody deleted or replaced '.*\.part'"):
        explainer.attribute_many(source(), tmp_path / name, method=METHOD)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", SINKS)
@pytest.mark.parametrize("mask", [0o077, 0o002])
def test_files_get_the_mode_that_the_umask_gives(explainer, tmp_path, name, mask):
    before = os.umask(mask)
    try:
        explainer.attribute_many(ITEMS, f"{tmp_path}/{name}", method=METHOD)
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in tmp_path.rglob("*") if p.is_file()} == {0o666 & ~mask}


@pytest.mark.parametrize("name", SINKS)
@pytest.mark.parametrize("resume", WAYS)
def test_the_temporary_file_of_a_killed_run_is_deleted_by_the_next(
    explainer, expected, tmp_path, monkeypatch, name, resume
):
    left: list[Path] = []

    def killed(temporary, path):
        left.append(Path(temporary))
        Path(temporary).unlink(missing_ok=True)
        Path(temporary).write_bytes(b"half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("fluxpath.files.os.replace", killed)
        patched.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process cleans nothing up
        with pytest.raises(KeyboardInterrupt):
            explainer.attribute_many(ITEMS, f"{tmp_path}/{name}", method=METHOD)
    assert left[0].exists() and len(left[0].name) > 32
    explainer.attribute_many(ITEMS, f"{tmp_path}/{name}", method=METHOD, resume=resume)
    assert not left[0].exists()
    check(tmp_path / name, expected)


@pytest.mark.parametrize("name", SINKS)
def test_a_run_that_broke_before_its_first_result_leaves_nothing(explainer, tmp_path, name):
    with pytest.raises(RuntimeError, match="broke"):
        explainer.attribute_many(breaking(0), f"{tmp_path}/{name}", method=METHOD)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize(
    "change",
    [
        {"name": 3},
        {"target": 2**70},
        {"steps": 2**40},
        {"score": "high"},
        {"files": []},
        {"files": {"a.png": -(2**70)}},
        {"files": {"a.sh": 1}},
        {"files": {"": 1}},
        {"crc": "x"},
        {"label": True},
        {"more": 1},
    ],
)
def test_a_row_of_other_types_is_none(change):
    good = Row("a", 1, 2, 0.5, 3, 4, files={"b/a.png": 3}).entry()
    assert Row.read(good).name == "a"
    with pytest.raises((TypeError, ValueError)):
        Row.read({**good, **change})
