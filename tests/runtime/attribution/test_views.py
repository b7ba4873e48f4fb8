"""An attribution in pictures: what is drawn is what was explained, and no file of others is touched."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops
from sessions import LinearSession, explain, some_images
from sinks import IMAGES, METHOD, N, Pictures

from fluxpath.errors import InputError
from fluxpath.runtime import Attribution, Explainer
from fluxpath.runtime.attribution.views import IN_TABLE, PICTURED, ROWS
from fluxpath.runtime.attribution.words import card_caption
from fluxpath.runtime.bulk.sources import photos_in
from fluxpath.runtime.pictures import Drawing, card, overlay
from fluxpath.runtime.records.held import Held

NAMES = ('<b>cat</b> & "dog"', "ant", "bee")
BLUE = Drawing(polarity="negative", size=50)


@pytest.fixture(scope="module")
def result():
    session = Pictures()
    session.manifest = replace(session.manifest, class_names=NAMES, low=-1.0, high=3.0)
    with Explainer.from_session(session) as explainer:
        return explainer.attribute(4 * IMAGES - 1, [i % 3 for i in range(N)], METHOD)


@pytest.fixture(scope="module")
def numbers():
    return explain(LinearSession(), some_images(3), METHOD)


def same(first, second) -> bool:
    return first.size == second.size and ImageChops.difference(first, second).getbbox() is None


@pytest.mark.parametrize("i", [0, 7, -1])
@pytest.mark.parametrize("drawing", [None, BLUE])
def test_the_image_is_drawn_as_the_model_knows_it(result, i, drawing):
    """Here black is -1 and white is 3."""
    drawn = drawing or Drawing()
    assert same(result.overlay(i, drawing), overlay(IMAGES[i], result.values[i], drawn))
    caption = f"{NAMES[int(result.target[i])]} {result.score[i]:.1%}"
    assert card_caption(result[i]).startswith(caption) and "mfaba-sharp(" in card_caption(result[i])
    assert same(result.card(i, drawing), card(IMAGES[i], result.values[i], card_caption(result[i]), drawn))


def test_a_plot_is_the_first_cards_below_one_another(result):
    plot, first = result.plot(BLUE, most=2), result.card(0, BLUE)
    assert plot.width >= first.width and plot.height > first.height
    assert same(plot.crop((0, 0, *first.size)), first)
    assert result.plot(BLUE).height > result.plot(BLUE, most=7).height
    with pytest.raises(InputError, match="most is 0"):
        result.plot(most=0)
    with pytest.raises(InputError, match="there is no image to show"):
        result[:0].plot()


def test_matplotlib_is_not_needed(result, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert result[:1].plot().mode == "RGB"


@pytest.mark.parametrize("cards", [True, False])
def test_a_folder_has_a_picture_of_each_image_and_a_table(result, tmp_path, cards):
    for _ in range(2):  # the second replaces the first's
        files = result.save(tmp_path / "out", BLUE, cards=cards)
    draw = result.card if cards else result.overlay
    assert [file.name for file in files] == [f"{i:06d}.png" for i in range(N)]
    for i, file in enumerate(files):
        with Image.open(file) as picture:
            assert same(picture.convert("RGB"), draw(i, BLUE))
    assert {p.name for p in (tmp_path / "out").iterdir()} == {*(f.name for f in files), "results.jsonl"}
    lines = (tmp_path / "out" / "results.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines][1:]
    assert [row["class_name"] for row in rows] == [NAMES[i % 3] for i in range(N)]
    np.testing.assert_allclose([row["probability"] for row in rows], result.score, rtol=1e-6)


def test_names_name_the_files_and_stay_in_the_folder(result, tmp_path):
    files = result[:4].save(tmp_path / "out", names=["a.jpg", "b/a.jpg", "../a.jpg", "a.png"])
    names = [str(file.relative_to(tmp_path / "out")) for file in files]
    assert names == ["a.png", "b/a.png", "a-2.png", "a-3.png"]
    with pytest.raises(InputError, match="there are 2 names for 4 images: give one each"):
        result[:4].save(tmp_path / "out", names=["a", "b"])


WRONG_NAMES = [[5], [None], [Path("a.png")], ["a", b"b"], "a", 5, {"a": 1, 2: 3}]


@pytest.mark.parametrize("names", WRONG_NAMES, ids=repr)
def test_names_that_are_no_text_are_refused(result, tmp_path, names):
    count = len(names) if isinstance(names, list) else 1
    with pytest.raises(InputError, match="names must be a sequence of str"):
        result[:count].save(tmp_path / "out", names=names)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("drawing", ["both", {}, 5, Drawing], ids=repr)
@pytest.mark.parametrize("draw", ["card", "overlay", "save", "plot"])
def test_a_drawing_is_a_drawing(result, tmp_path, draw, drawing):
    first = {"save": (tmp_path / "out",), "plot": ()}.get(draw, (0,))
    with pytest.raises(InputError, match=r"it must be a fluxpath\.runtime\.pictures\.Drawing"):
        getattr(result, draw)(*first, drawing)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("folder", [None, 5, b"out", "", ["out"]], ids=repr)
def test_a_folder_is_a_path(result, tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="the folder to write to is"):
        result.save(folder)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_nothing_was_written_to_is_not_left(result, tmp_path):
    broken = replace(result, values=np.full_like(result.values, np.nan))
    for folder in (tmp_path / "out", tmp_path):
        with pytest.raises(InputError, match="finite"):
            broken.save(folder)
    assert tmp_path.is_dir() and not list(tmp_path.iterdir())


def test_files_of_others_are_not_replaced(result, tmp_path):
    Image.new("RGB", (3, 3)).save(tmp_path / "000001.png")
    before = (tmp_path / "000001.png").read_bytes()
    with pytest.raises(InputError, match="fluxpath did not write it"):
        result.save(tmp_path)
    assert (tmp_path / "000001.png").read_bytes() == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.jsonl").write_text("mine\n")
    with pytest.raises(InputError, match="is no intact result of fluxpath's"):
        result.save(tmp_path / "other")
    assert [p.name for p in (tmp_path / "other").iterdir()] == ["results.jsonl"]


def test_a_folder_that_a_run_writes_to_is_left_alone(result, tmp_path):
    result.save(tmp_path / "out")
    held = Held(tmp_path / "out" / "results.jsonl", tmp_path / "out")
    with pytest.raises(InputError, match="another run is writing"):
        result.save(tmp_path / "out")
    held.release()


def test_what_was_saved_is_no_source_of_photos(result, tmp_path):
    result[:1].save(tmp_path / "out")
    Image.new("L", (4, 4)).save(tmp_path / "photo.png")
    assert photos_in(tmp_path) == [tmp_path / "photo.png"]


@pytest.mark.parametrize("use", ["overlay", "card", "plot", "save"])
def test_inputs_that_are_no_images_say_so(numbers, use, tmp_path):
    given = [tmp_path / "out"] if use == "save" else []
    with pytest.raises(InputError, match=r"inputs of shape \[6\], and pictures need .*values"):
        getattr(numbers, use)(*given)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("use", ["overlay", "card", "plot", "save"])
def test_without_its_subject_it_says_so(result, use, tmp_path):
    bare = replace(result, subject=None)
    given = [tmp_path / "out"] if use == "save" else []
    with pytest.raises(InputError, match="was made without its subject"):
        getattr(bare, use)(*given)
    assert not (tmp_path / "out").exists()


def test_an_image_that_is_not_there_is_an_index_error(result):
    with pytest.raises(IndexError, match="there is no image 12: there are 12"):
        result.card(12)


class Page(HTMLParser):
    """The text of a page, its pictures, and whether every tag is closed by the one that opened it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self.pictures: list[dict[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.pictures.append(dict(attrs))
        elif tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += f" {data}"


def test_a_notebook_shows_a_table_with_the_first_cards(result):
    page = Page(result._repr_html_())
    assert page.tags.count("tr") == 1 + N and len(page.pictures) == PICTURED
    for i, picture in enumerate(page.pictures):
        data = base64.b64decode(re.fullmatch("data:image/png;base64,(.*)", picture["src"])[1])
        with Image.open(io.BytesIO(data)) as shown:
            assert same(shown.convert("RGB"), result.card(i, IN_TABLE))
        assert picture["alt"].endswith(card_caption(result[i]))
    assert NAMES[0] in page.words and "b" not in page.tags, "names are text"
    assert "boundary" in page.words and f"Pictures of the first {PICTURED}" in page.words


def test_a_notebook_shows_no_more_rows_than_anybody_reads(result):
    many = result[np.arange(ROWS + 30) % N]
    page = Page(many._repr_html_())
    assert page.tags.count("tr") == 1 + ROWS and "30 more images are not listed" in page.words


def test_a_notebook_shows_inputs_that_are_no_images_without_pictures(numbers):
    page = Page(numbers._repr_html_())
    assert not page.pictures and page.tags.count("tr") == 4 and "are no images" in page.words


def test_a_notebook_shows_an_attribution_without_its_subject(result):
    page = Page(replace(result, subject=None)._repr_html_())
    assert not page.pictures and "was made without its subject" in page.words


def test_a_notebook_shows_nothing_at_all(result):
    assert Page(result[:0]._repr_html_()).tags.count("tr") == 1


def test_an_image_that_the_model_has_no_answer_to_is_shown(result):
    lost = replace(result[:1], values=np.zeros_like(result.values[:1]), score=np.array([np.nan], np.float32))
    assert isinstance(lost, Attribution)
    assert lost.card(0).mode == "RGB" and Page(lost._repr_html_()).pictures
