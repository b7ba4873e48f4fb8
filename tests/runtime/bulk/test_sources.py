"""Folders of photos as a source."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sinks import IMAGES, METHOD, RNG, read

from fluxpath.errors import InputError
from fluxpath.runtime.bulk.sources import photos_in


def test_a_folder_of_photos(explainer, tmp_path):
    """With the folders in it; hidden files, other files and fluxpath's own folders are not looked at."""
    photos = tmp_path / "photos"
    for name in ("b/2.png", "b/1.JPG", "a.png", ".hidden/x.png", ".y.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 255, (9, 9), np.uint8)).save(photos / name)
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


def photos(folder, *names) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 255, (9, 9), np.uint8)).save(folder / name)


def test_folders_that_cannot_be_read_are_named(explainer, tmp_path, monkeypatch):
    photos(tmp_path / "in", "a.png", "closed/b.png")
    scan = os.scandir

    def refuse(path="."):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    summary = explainer.attribute_many(tmp_path / "in", tmp_path / "out.npz", method=METHOD)
    assert summary.written == 1
    (said,) = summary.failures.items()
    assert said == ("closed", f"{tmp_path}/in/closed: cannot be read: Permission denied")
    with pytest.raises(InputError, match=r"cannot read the folder '.*closed': Permission denied"):
        photos_in(tmp_path / "in" / "closed")


def test_a_folder_with_results_of_another_program_is_a_source(tmp_path):
    photos(tmp_path, "a.png", "b/c.png")
    (tmp_path / "b" / "results.jsonl").write_text('{"accuracy": 0.9}\n')
    assert photos_in(tmp_path) == [tmp_path / "a.png", tmp_path / "b" / "c.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_what_is_no_file_fails_alone(explainer, tmp_path):
    photos(tmp_path / "in", "a.png", "c.png")
    os.mkfifo(tmp_path / "in" / "b.png")
    summary = explainer.attribute_many(tmp_path / "in", tmp_path / "out.npz", method=METHOD)
    assert (summary.written, list(summary.failures)) == (2, ["b.png"])
    assert "it is not a regular file" in summary.failures["b.png"]


def test_one_photo_is_not_taken_for_many(explainer, tmp_path):
    """An array in any layout, a file's bytes, an open file, a PIL image, and inputs."""
    levels = RNG.integers(0, 255, (9, 8, 3), np.uint8)
    Image.fromarray(levels).save(tmp_path / "a.png")
    encoded = (tmp_path / "a.png").read_bytes()
    for k, (source, count) in enumerate(
        [
            (levels, 1),
            (levels[:, :, 0], 1),
            (np.stack([levels] * 3), 3),
            (np.moveaxis(levels, 2, 0)[None], 1),
            (encoded, 1),
            (bytearray(encoded), 1),
            (io.BytesIO(encoded), 1),
            (Image.fromarray(levels), 1),
            (IMAGES[0], 1),
            (IMAGES[:2], 2),
            ([IMAGES[:1], IMAGES[1:2]], 2),
        ]
    ):
        summary = explainer.attribute_many(source, tmp_path / f"{k}.npz", method=METHOD)
        assert (summary.written, summary.failures) == (count, {})
    for wrong, said in (
        ({"a": levels}, r"a dict: pass its items\(\)"),
        (np.zeros((9, 9, 4), np.uint8), "three"),
    ):
        with pytest.raises(InputError, match=said):
            explainer.attribute_many(wrong, tmp_path / "no.npz", method=METHOD)
    summary = explainer.attribute_many([str(tmp_path)], tmp_path / "no.npz", method=METHOD)
    assert "it is a folder: pass a folder alone" in summary.failures[str(tmp_path)]
    with pytest.raises(InputError, match=r"one class for every image: .*\(name, image, target\)"):
        explainer.attribute_many(IMAGES[:2], tmp_path / "no.npz", target=[1, 2])
