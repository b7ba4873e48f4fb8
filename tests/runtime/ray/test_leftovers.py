"""What a killed run left is removed, and nothing of others."""

from __future__ import annotations

import pytest

from fluxpath.runtime import Explainer
from fluxpath.runtime.ray.leftovers import tidy
from fluxpath.runtime.records.parts import Part, Parts
from fluxpath.runtime.records.rows import Head


def test_only_our_unlisted_files_go(graph, photos, tmp_path):
    parts = Parts(tmp_path / "out", Head({"model": "m"}, (1, 6, 6)), True)
    with Explainer(graph("smooth")) as explainer:
        for name in ("part-a.parquet", "part-b.parquet"):
            explainer.attribute_many(
                sorted(photos.rglob("*.png"))[:2], parts.folder / name, method="saliency", progress=False
            )

        def broken():
            yield from sorted(photos.rglob("*.png"))[:200]
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            explainer.attribute_many(
                broken(), parts.folder / "part-c.parquet", method="saliency", progress=False
            )
    (parts.folder / "part-d.parquet").write_text("somebody's")
    assert (parts.folder / "part-c.parquet.rows.part").exists()
    parts.add(Part("part-a.parquet", 2, 1))
    tidy(parts)
    parts.close()
    left = sorted(path.name for path in parts.folder.iterdir())
    assert left == ["_manifest.jsonl", "part-a.parquet", "part-d.parquet"]
