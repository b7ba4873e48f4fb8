"""Tables: CSV, JSON lines, Parquet and Arrow, with paths or bytes, labels by number or name."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from evaluated import NAMES, fitting
from PIL import Image

from fluxpath.errors import InputError
from fluxpath.runtime.evaluation.data import open_data

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet")

LEVELS = (0, 100, 255)


def png(level):
    stream = io.BytesIO()
    Image.fromarray(np.full((6, 6), level, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "img").mkdir()
    for level in LEVELS:
        (tmp_path / "img" / f"{level}.png").write_bytes(png(level))
    return tmp_path


@pytest.fixture
def opened(graph):
    fit = fitting(graph("smooth", class_names=NAMES))
    return lambda path, **options: open_data(path, fit.manifest, fit.shape, **options)


def found(data):
    """The grey levels and labels, read twice."""
    twice = [[(round(each.load().mean() * 255), each.label) for each in data.items()] for _ in range(2)]
    assert twice[0] == twice[1] and len(twice[0]) == data.count
    return twice[0]


WANTED = [(0, 2), (100, 1), (255, None)]
PATHS = [f"img/{level}.png" for level in LEVELS]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(("suffix", "between"), [("csv", ","), ("tsv", "\t")])
def test_text(folder, opened, suffix, between, mark):
    lines = [("Label", "Path", "more"), ("cat", PATHS[0], ""), ("1", PATHS[1], ""), ("", PATHS[2], "")]
    path = folder / f"t.{suffix}"
    path.write_text(mark + "".join(between.join(line) + "\n" for line in lines), encoding="utf-8")
    data = opened(path)
    assert data.labelled and found(data) == WANTED
    assert [each.name for each in data.items()] == PATHS


def test_json_lines(folder, opened):
    rows = [{"file_name": p, "label": label} for p, label in zip(PATHS, ("cat", 1, None), strict=True)]
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert found(opened(folder / "t.jsonl")) == WANTED


def test_parquet_with_paths(folder, opened):
    table = pa.table({"image": PATHS, "class": pa.array(["cat", "bee", None]).dictionary_encode()})
    pq.write_table(table, folder / "t.parquet")
    assert found(opened(folder / "t.parquet")) == WANTED


def hugging_face(names=("cat", "bee"), labels=(0, 1, -1)):
    """A table as `datasets` makes it, with the photos' bytes and class names of its own."""
    features = {"image": {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
    photos = [{"bytes": png(level), "path": None} for level in LEVELS]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table({"image": pa.array(photos, kind), "label": pa.array(labels, pa.int64())})
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def written(path, table, form):
    with pa.OSFile(str(path), "wb") as sink, form(sink, table.schema) as writer:
        writer.write_table(table)


def saved(folder, table, pieces=2):
    """What `Dataset.save_to_disk` writes: Arrow streams and two files about them."""
    folder.mkdir()
    files = []
    for k in range(pieces):
        part = table.slice(k * 2, 2)
        files.append({"filename": f"data-{k:05d}-of-{pieces:05d}.arrow"})
        with (
            pa.OSFile(str(folder / files[-1]["filename"]), "wb") as sink,
            pa.ipc.new_stream(sink, table.schema) as w,
        ):
            w.write_table(part)
    (folder / "state.json").write_text(json.dumps({"_data_files": files, "_indices_files": None}))
    (folder / "dataset_info.json").write_text("{}")
    return folder


def test_parquet_of_hugging_face(folder, opened):
    pq.write_table(hugging_face(), folder / "train.parquet")
    assert found(opened(folder / "train.parquet")) == WANTED


def test_a_saved_data_set(folder, opened):
    data = opened(saved(folder / "set", hugging_face()))
    assert found(data) == WANTED and data.labelled
    with (
        pa.OSFile(str(folder / "one.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, hugging_face().schema) as writer,
    ):
        writer.write_table(hugging_face())
    assert found(opened(folder / "one.arrow")) == WANTED


def test_class_names_only_in_the_file_about_it(folder, opened):
    table = hugging_face()
    about = json.loads(table.schema.metadata[b"huggingface"])["info"]
    path = saved(folder / "set", table.replace_schema_metadata(None))
    (path / "dataset_info.json").write_text(json.dumps(about))
    assert found(opened(path)) == WANTED


def test_splits_are_named(folder, opened):
    (folder / "set").mkdir()
    (folder / "set" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with pytest.raises(InputError, match=r"holds the splits train, test .* name one, as in .*train"):
        opened(folder / "set")


def test_other_class_names_are_numbers_if_they_are_as_many(folder, opened):
    pq.write_table(hugging_face(("a", "b", "c", "d"), (2, 1, -1)), folder / "t.parquet")
    assert found(opened(folder / "t.parquet")) == WANTED
    pq.write_table(hugging_face(("a", "b")), folder / "t.parquet")
    with pytest.raises(InputError, match="no class 'a'"):
        opened(folder / "t.parquet")


def test_an_imagefolder_with_a_list(folder, opened):
    (folder / "img" / "metadata.csv").write_text("file_name,label\n0.png,cat\n100.png,bee\n255.png,\n")
    assert found(opened(folder / "img")) == WANTED


def test_columns_of_other_names(folder, opened):
    (folder / "t.csv").write_text(f"where,what\n{PATHS[0]},cat\n")
    with pytest.raises(InputError, match="has no column of images among where, what"):
        opened(folder / "t.csv")
    assert not opened(folder / "t.csv", image_column="where").labelled
    assert found(opened(folder / "t.csv", image_column="where", label_column="what")) == [(0, 2)]
    for options, said in (
        ({"image_column": "x"}, "has no column 'x' of images, it has where, what"),
        ({"image_column": "where", "label_column": "y"}, "has no column 'y' of labels"),
    ):
        with pytest.raises(InputError, match=said):
            opened(folder / "t.csv", **options)
    with pytest.raises(InputError, match=r"are of tables, and .* is none"):
        opened(folder / "img", image_column="where")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("t.csv", b"", "has no rows"),
        ("t.csv", b"path,label\n", "has no rows"),
        ("t.csv", b"\xff\xfe\x00", "cannot be read as a table"),
        ("t.jsonl", b"[1]\n", "cannot be read as a table"),
        ("t.jsonl", b"{", "cannot be read as a table"),
        ("t.jsonl", b'{"path": "a"}\n\n{"path" "b"}\n', "cannot be read as a table: line 3, column 9: "),
        ("t.jsonl", b'{"path": "a"}\n[1]\n', "cannot be read as a table: line 2 is no JSON object"),
        ("t.parquet", b"PAR1 no", "cannot be read as a table"),
        ("t.arrow", b"no", "cannot be read as a table"),
    ],
)
def test_damaged_tables(folder, opened, name, content, said):
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        opened(folder / name)


def test_a_wrong_label_is_named_by_its_row(folder, opened):
    (folder / "t.csv").write_text(f"path,label\n{PATHS[0]},cat\n{PATHS[1]},dodo\n")
    with pytest.raises(InputError, match=r"t\.csv', row 2: the model has no class 'dodo'"):
        opened(folder / "t.csv")


def test_missing_photos_fail_when_they_are_read(folder, opened):
    (folder / "t.csv").write_text("path,label\nimg/none.png,cat\n,cat\n")
    for each in opened(folder / "t.csv").items():
        with pytest.raises(InputError, match=r"none\.png|row 2 has neither"):
            each.load()


def test_without_pyarrow_it_says_what_to_install(folder, opened, monkeypatch):
    import sys

    pq.write_table(hugging_face(), folder / "t.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install \"fluxpath\[parquet\]\""):
        opened(folder / "t.parquet")


def test_rows_are_read_a_few_at_a_time(folder, opened, monkeypatch):
    """Not the whole table: a data set can be larger than memory."""
    from fluxpath.runtime.evaluation.data import tables

    pq.write_table(pa.concat_tables([hugging_face()] * 40), folder / "t.parquet")
    monkeypatch.setattr(tables, "ROWS", 5)
    sizes, batches = [], pq.ParquetFile.iter_batches

    def watched(self, size, **options):
        for batch in batches(self, size, **options):
            sizes.append(len(batch))
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    items = opened(folder / "t.parquet").items()
    sizes.clear()
    next(items)
    assert sizes == [5]
