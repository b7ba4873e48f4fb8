"""A folder of pictures: which are kept, how they are named, and whose files they never replace."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from sinks import IMAGES, ITEMS, METHOD, RNG, N, interrupted, read

from fluxpath.errors import InputError
from fluxpath.runtime.bulk.sinks import open_sink
from fluxpath.runtime.records.rows import Head


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


def test_names_that_clash_or_leave_the_folder(explainer, tmp_path):
    names = ["a.png", "a.jpg", "a-2.png", "/abs/b.png", "../c.png", "v1.5", "", "q?.png"]
    items = [(name, IMAGES[0]) for name in names]
    explainer.attribute_many(items, tmp_path / "folder", method=METHOD)
    assert explainer.attribute_many(items, tmp_path / "folder", method=METHOD).skipped == len(names)
    found = sorted(str(p.relative_to(tmp_path / "folder")) for p in (tmp_path / "folder").rglob("*.png"))
    assert found == sorted(
        ["a.png", "a-2.png", "a-2-2.png", "b.png", "c.png", "v1.5.png", "image.png", "q_.png"]
    )


@pytest.mark.parametrize("npy", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
def test_files_and_folders_of_one_name(explainer, tmp_path, backwards, npy):
    """In either order, resumed, and over what an earlier run left; what is somebody else's is refused."""
    names = ["a", "a.png/b", "a.png/c", "a.npy/b", "d/e", "d/e.png/f.png/g", "d/e.png/f", "results.jsonl/a"]
    names = names[::-1] if backwards else names
    result = explainer.attribute(IMAGES[0], method=METHOD)

    def run(names, resume):
        sink = opened(explainer, tmp_path / "out", resume, npy)
        try:
            return [sink.write(name, IMAGES[0], result) for name in names if not sink.done(name)]
        finally:
            sink.close()

    first = run(names[:3], resume=False)
    rest = run(names, resume=True)
    assert (len(first), len(rest)) == (3, len(names) - 3)
    assert len({*first, *rest}) == len(names) and all(p.is_file() for p in [*first, *rest])
    assert run(names, resume=True) == []
    again = run(names[::-1], resume=False)
    assert len(set(again)) == len(names) and all(p.is_file() for p in again)
    (tmp_path / "out" / "theirs.png").write_text("")
    with pytest.raises(InputError, match=r"theirs\.png' would be replaced, and fluxpath did not write it"):
        run(["theirs.png/h"], resume=True)
    assert (tmp_path / "out" / "theirs.png").read_text() == ""


def test_overlays_replace_no_file_of_others(explainer, tmp_path):
    """Neither the photos themselves nor what lies beside them; fluxpath's own overlays are written again."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.jpg"):
        Image.fromarray(RNG.integers(0, 255, (9, 9), np.uint8)).save(photos / name)
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


def opened(explainer, folder, resume=True, npy=False):
    return open_sink(f"{folder}/", Head({}, explainer.shape), resume=resume, npy=npy)


def test_arrays_of_our_own_are_replaced_and_go_with_their_picture(explainer, tmp_path):
    result = explainer.attribute(IMAGES[0], method=METHOD)
    for npy in (True, True, False, True):
        sink = opened(explainer, tmp_path, resume=False, npy=npy)
        sink.write("a.png", IMAGES[0], result)
        sink.close()
        assert (tmp_path / "a.npy").exists() == npy
    # One that came beside a picture without an array is a user's.
    opened(explainer, tmp_path, resume=False).close()
    sink = opened(explainer, tmp_path, resume=False)
    sink.write("a.png", IMAGES[0], result)
    sink.close()
    np.save(tmp_path / "a.npy", np.arange(3))
    sink = opened(explainer, tmp_path, npy=True)
    assert not sink.done("a.png")
    with pytest.raises(InputError, match=r"a\.npy' would be replaced, and fluxpath did not write it"):
        sink.write("a.png", IMAGES[0], result)
    sink.abandon()
    assert list(np.load(tmp_path / "a.npy")) == [0, 1, 2]


def test_names_longer_than_a_file_may_have(explainer, tmp_path):
    names = ["n" * 300, "n" * 300 + ".png", "ä" * 200 + "/" + "ö" * 200 + ".jpg"]
    items = [(name, IMAGES[0]) for name in names]
    explainer.attribute_many(items, tmp_path / "folder", method=METHOD)
    assert len(list((tmp_path / "folder").rglob("*.png"))) == 3
    assert explainer.attribute_many(items, tmp_path / "folder", method=METHOD).skipped == 3


def test_a_link_in_place_of_a_picture_is_not_done(explainer, tmp_path):
    folder = tmp_path / "folder"
    explainer.attribute_many(ITEMS[:1], folder, method=METHOD)
    (picture,) = folder.rglob("*.png")
    picture.rename(tmp_path / "elsewhere.png")
    picture.symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(InputError, match="fluxpath did not write it"):
        explainer.attribute_many(ITEMS[:1], folder, method=METHOD)
