"""Images from Parquet files and WebDataset tars, whole and in slices."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fluxpath.errors import InputError
from fluxpath.runtime import Explainer
from fluxpath.runtime.bulk.shards import items_of, shards_in, slices
from fluxpath.runtime.bulk.sources import items
from fluxpath.runtime.preparation import Preparation

PHOTOS = Preparation((1, 6, 6), 0.0, 1.0)
LEVELS = np.random.default_rng(0).integers(0, 256, (20, 6, 6), np.uint8)


def png(levels):
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, "PNG")
    return stream.getvalue()


def add(archive, name, data):
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


@pytest.fixture
def tar(tmp_path):
    """With what else is in a WebDataset, and names that take headers of their own."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for i, levels in enumerate(LEVELS):
            add(archive, f"{'long' * 40 if i % 3 else 'short'}/{i:03d}.png", png(levels))
            add(archive, f"{i:03d}.cls", b"3")
    return tmp_path / "a.tar"


@pytest.mark.parametrize("most", [1, 7, 20, 100])
def test_slices_of_a_tar_are_the_whole(tar, most):
    parts = list(slices(tar, "a.tar", most))
    assert [part.count for part in parts[:-1]] == [most] * (len(parts) - 1)
    found = [(item.name, item.load()) for part in parts for item in items_of(part, PHOTOS)]
    assert [name[-8:] for name, _ in found] == [f"/{i:03d}.png" for i in range(20)]
    assert found[0][0] == "a.tar/short/000.png"
    np.testing.assert_array_equal([image[0] for _, image in found], LEVELS / np.float32(255))


@pytest.mark.parametrize("kind", ["bytes", "struct", "floats"])
@pytest.mark.parametrize("most", [3, 100])
def test_rows_of_parquet(tmp_path, kind, most):
    made = {
        "bytes": png,
        "struct": lambda levels: {"bytes": png(levels), "path": "x.png"},
        "floats": lambda levels: (levels / np.float32(255)).reshape(-1),
    }
    table = pd.DataFrame({"image": [made[kind](levels) for levels in LEVELS], "other": 1})
    if kind == "bytes":
        table["name"] = [f"n{i}" for i in range(20)]
    table.to_parquet(tmp_path / "b.parquet", row_group_size=4)
    found = [
        (item.name, item.load())
        for part in slices(tmp_path / "b.parquet", "x/b.parquet", most)
        for item in items_of(part, PHOTOS)
    ]
    name = "n{}" if kind == "bytes" else "{:09d}"
    assert [n for n, _ in found] == [f"x/b.parquet/{name.format(i)}" for i in range(20)]
    np.testing.assert_array_equal([image[0] for _, image in found], LEVELS / np.float32(255))


def test_a_shard_is_a_source_like_a_folder(tar, graph, tmp_path):
    with Explainer(graph("smooth")) as explainer:
        summary = explainer.attribute_many(tar.parent, tmp_path / "out.npz", progress=False)
    assert summary.written == 20 and not summary.failures


def test_photos_in_a_folder_are_meant_before_shards(tar, tmp_path):
    Image.fromarray(LEVELS[0]).save(tmp_path / "photo.png")
    assert [item.name for item in items(tmp_path, PHOTOS)[0]] == ["photo.png"]
    assert shards_in(tmp_path) == [tar]


def test_a_damaged_image_fails_alone_and_a_damaged_shard_says_so(tmp_path):
    table = pd.DataFrame({"image": [png(LEVELS[0]), b"no photo", None]})
    table.to_parquet(tmp_path / "c.parquet")
    good, bad, missing = items(tmp_path / "c.parquet", PHOTOS)[0]
    assert good.load().shape == (1, 6, 6)
    with pytest.raises(InputError, match=r"c\.parquet/000000001"):
        bad.load()
    with pytest.raises(InputError, match="has no image"):
        missing.load()
    for name in ("d.parquet", "d.tar"):
        (tmp_path / name).write_bytes(b"something else, long enough to have a header" * 20)
        with pytest.raises(InputError, match=f"cannot read the shard '.*{name}'"):
            list(items(tmp_path / name, PHOTOS)[0])
    pd.DataFrame({"picture": [1]}).to_parquet(tmp_path / "e.parquet")
    with pytest.raises(InputError, match="has no column 'image', it has picture"):
        list(items(tmp_path / "e.parquet", PHOTOS)[0])


@pytest.mark.parametrize("out", ["out.npz", "out.parquet", "out"])
def test_shards_without_images_are_named_and_one_of_several_is_not(tmp_path, graph, out):
    shards = tmp_path / "shards"
    shards.mkdir()
    with tarfile.open(shards / "a.tar", "w") as archive:
        add(archive, "000.cls", b"3")
    pd.DataFrame({"image": []}).to_parquet(shards / "b.parquet")
    with Explainer(graph("smooth"), threads=1) as explainer:
        for source in (shards / "a.tar", shards / "b.parquet", shards):
            with pytest.raises(
                InputError, match=f"there are no images in '{source}': a Parquet file has one"
            ):
                explainer.attribute_many(source, tmp_path / out, progress=False)
            assert list(tmp_path.iterdir()) == [shards]
        pd.DataFrame({"image": [png(LEVELS[0])]}).to_parquet(shards / "c.parquet")
        assert explainer.attribute_many(shards, tmp_path / out, progress=False).written == 1


def test_names_in_a_tar_lead_nowhere_else(tmp_path, graph):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("../up.png", "../../../up.png", "x/../../../up.png", "/abs.png", "//host/abs.png"):
            add(archive, name, png(LEVELS[0]))
        add(archive, str(tmp_path / "above" / "abs.png"), png(LEVELS[0]))
        add(archive, "x\\..\\..\\back.png", png(LEVELS[0]))
        add(archive, "C:\\drive.png", png(LEVELS[0]))
    out = tmp_path / "below" / "out"
    with Explainer(graph("smooth"), threads=1) as explainer:
        summary = explainer.attribute_many(tmp_path / "a.tar", out, progress=False)
    assert summary.written == 8 and not summary.failures
    assert len([p for p in out.rglob("*.png") if not p.is_symlink()]) == 8
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "below"]
    assert list((tmp_path / "below").iterdir()) == [out]
