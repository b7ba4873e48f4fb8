"""Pictures of a run are drawn as was asked, and a run that draws otherwise is another one."""

from __future__ import annotations

import pytest
from PIL import Image, ImageChops
from sinks import IMAGES, ITEMS, METHOD

from fluxpath.errors import InputError
from fluxpath.runtime.attribution.subject import unit
from fluxpath.runtime.attribution.words import card_caption
from fluxpath.runtime.bulk.many import head_of
from fluxpath.runtime.bulk.sinks import open_sink
from fluxpath.runtime.pictures import Drawing, card, overlay

BLUE = Drawing(polarity="negative", overlay="original", size=60)


def written(explainer, folder, **settings):
    """The picture of the first image, and what it was drawn from."""
    head = head_of(explainer, ITEMS, None, METHOD)
    sink = open_sink(folder, head, low=0.0, high=1.0, **settings)
    result = explainer.attribute(IMAGES[0], method=METHOD)
    path = sink.write("a", IMAGES[0], result)
    sink.close()
    with Image.open(path) as picture:
        return picture.convert("RGB"), result


def same(first, second) -> bool:
    return first.size == second.size and ImageChops.difference(first, second).getbbox() is None


@pytest.mark.parametrize("drawing", [None, BLUE])
def test_an_overlay_and_a_card_are_drawn_as_was_asked(explainer, tmp_path, drawing):
    image = unit(IMAGES[0], 0.0, 1.0)
    found, result = written(explainer, f"{tmp_path}/a/", drawing=drawing)
    assert same(found, overlay(image, result.values[0], drawing or Drawing()))
    found, result = written(explainer, f"{tmp_path}/b/", drawing=drawing, cards=True)
    assert same(found, card(image, result.values[0], card_caption(result), drawing or Drawing()))


@pytest.mark.parametrize(("other", "said"), [({"drawing": BLUE}, "drawing"), ({"cards": True}, "pictures")])
def test_a_run_that_draws_otherwise_does_not_continue(explainer, tmp_path, other, said):
    written(explainer, f"{tmp_path}/a/")
    with pytest.raises(InputError, match=f"was written with {said} "):
        written(explainer, f"{tmp_path}/a/", **other)
    assert written(explainer, f"{tmp_path}/a/", resume=False, **other)
