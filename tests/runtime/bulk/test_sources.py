"""Folders of photos as a source."""

from __future__ import annotations

import numpy as np
from PIL import Image
from sinks import METHOD, RNG, read


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
