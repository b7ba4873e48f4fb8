"""JSON lines: every line is an image and stands for itself, and none of them is taken on trust."""

from __future__ import annotations

import json

import pytest
from sinks import ITEMS, METHOD, N

from fluxpath.errors import InputError
from fluxpath.runtime import NeFLAG


@pytest.fixture
def path(explainer, tmp_path):
    explainer.attribute_many(ITEMS, tmp_path / "out.jsonl", method=METHOD)
    return tmp_path / "out.jsonl"


def test_every_line_is_an_image_and_says_how_it_was_explained(path):
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [entry["name"] for entry in entries] == [name for name, *_ in ITEMS]
    assert {entry["run"]["method"] for entry in entries} == {repr(METHOD)}
    assert {entry["status"] for entry in entries} == {"boundary", "max steps"}
    keys = list(entries[0])
    assert (
        keys[:4] == ["name", "class_name", "target", "label"] and "values" not in keys and "crc" not in keys
    )


def test_a_changed_byte_is_refused_where_it_would_be_continued(explainer, path):
    data = path.read_bytes()
    for place in range(0, len(data), 97):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        path.write_bytes(changed)
        with pytest.raises(InputError, match="start over, or write elsewhere"):
            explainer.attribute_many(ITEMS, path, method=METHOD)
        assert path.read_bytes() == changed
        assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_was_joined_from_two_runs_is_not_continued(explainer, path):
    other = path.with_name("other.jsonl")
    explainer.attribute_many(ITEMS, other, method=NeFLAG(n=1))
    path.write_bytes(path.read_bytes() + other.read_bytes())
    with pytest.raises(InputError, match="start over, or write elsewhere"):
        explainer.attribute_many(ITEMS, path, method=METHOD)


def test_the_rows_of_an_array_are_no_such_file(explainer, tmp_path, path):
    """Nor the other way round, though both are called out.jsonl."""
    with pytest.raises(InputError, match=r"out\.jsonl"):
        explainer.attribute_many(ITEMS, tmp_path / "out.npy", method=METHOD)
    path.unlink()
    explainer.attribute_many(ITEMS, tmp_path / "out.npy", method=METHOD)
    with pytest.raises(InputError, match=r"out\.jsonl"):
        explainer.attribute_many(ITEMS, path, method=METHOD, resume=False)


def test_no_attribution_is_kept_on_the_way(explainer, tmp_path):
    """What is not in the file takes no room beside it either."""
    sizes = []

    def source():
        for item in ITEMS:
            yield item
            part = tmp_path / "out.jsonl.part"
            sizes.append(part.stat().st_size if part.exists() else 0)

    explainer.attribute_many(source(), tmp_path / "out.jsonl", method=METHOD)
    assert max(sizes) <= 128


def test_an_empty_file_is_begun_anew(explainer, tmp_path):
    (tmp_path / "out.jsonl").touch()
    assert explainer.attribute_many(ITEMS, tmp_path / "out.jsonl", method=METHOD).written == N
