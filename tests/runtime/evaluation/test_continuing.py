"""A run goes on with the same images, labels and masks only, whatever form the data have."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from evaluated import METHODS, evaluated, images, rows_of
from PIL import Image

from fluxpath.errors import InputError


def picture(path, level):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((6, 6), level, np.uint8)).save(path)


def folder(at):
    for i in range(3):
        picture(at / "photos" / f"{i}.png", 50 * i)
    return {"data": at / "photos"}, lambda: picture(at / "photos" / "2.png", 7)


def folder_masks(at):
    options, _ = folder(at)
    for i in range(3):
        picture(at / "masks" / f"{i}.png", 255)
    return {**options, "masks": at / "masks"}, lambda: picture(at / "masks" / "2.png", 254)


def added_mask(at):
    options, _ = folder_masks(at)
    (at / "masks" / "2.png").unlink()
    return options, lambda: picture(at / "masks" / "2.png", 255)


def table(at):
    folder(at)
    rows = "path,label\nphotos/0.png,0\nphotos/1.png,1\n"
    (at / "t.csv").write_text(f"{rows}photos/2.png,2\n")
    return {"data": at / "t.csv"}, lambda: (at / "t.csv").write_text(f"{rows}photos/2.png,3\n")


def table_photos(at):
    options, _ = table(at)
    return options, lambda: picture(at / "photos" / "2.png", 7)


def arrays(at, column="images", as_given=np.array):
    given = {"images": images(3), "labels": np.arange(3), "masks": images(3)[:, 0] > 0.5}
    given = {name: as_given(values) for name, values in given.items()}

    def change():
        given[column][2] = given[column][0]

    return {"data": given}, change


def archive(at):
    options, change = arrays(at)
    np.savez(at / "a.npz", **options["data"])
    change()
    return {"data": at / "a.npz"}, lambda: np.savez(at / "a.npz", **options["data"])


def photos(at):
    given = [(f"{i}", Image.fromarray(np.full((6, 6), 50 * i, np.uint8))) for i in range(3)]
    return {"data": given}, lambda: given.append(("2", given.pop()[1].point(lambda level: 7)))


FORMS = {
    "labels": partial(arrays, column="labels"),
    "masks": partial(arrays, column="masks"),
    "lists": partial(arrays, as_given=lambda values: values.tolist()),
    **{
        made.__name__: made
        for made in (folder, folder_masks, added_mask, table, table_photos, arrays, archive, photos)
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_a_run_goes_on_with_the_same_images_labels_and_masks_only(graph, tmp_path, form):
    options, change = FORMS[form](tmp_path)
    options |= {"report": tmp_path / "out", "methods": {"saliency": METHODS["saliency"]}, "photos": 0}
    found = evaluated(graph("smooth"), **options)
    assert rows_of(evaluated(graph("smooth"), **options)) == rows_of(found) and len(found) == 3
    change()
    with pytest.raises(InputError, match=r"other data: '.*2.*' has another image, label or mask now"):
        evaluated(graph("smooth"), **options)
    assert len(evaluated(graph("smooth"), restart=True, **options)) == 3


def test_images_without_a_mask_are_counted_also_by_a_run_that_goes_on(graph, tmp_path):
    options, _ = folder_masks(tmp_path)
    given = {**options, "metrics": ["pointing-game"], "report": tmp_path / "out"}
    assert evaluated(graph("smooth"), **{**given, "report": None}).about["note"] == ""
    (tmp_path / "masks" / "1.png").unlink()
    said = "1 of 3 images has no mask: metrics that need one are of the others"
    for _ in range(2):
        found = evaluated(graph("smooth"), **given)
        assert found.about["note"] == said
        assert [bool(np.isnan(v)) for v in found.values("pointing-game")["ig"]] == [False, True, False]
    assert said in (tmp_path / "out" / "report.html").read_text()
    (tmp_path / "masks" / "0.png").unlink()
    without = next(seed for seed in range(40) if np.random.default_rng(seed).choice(3, 1) != 2)
    with pytest.raises(InputError, match="defined with masks only"):
        evaluated(graph("smooth"), **{**given, "report": None, "sample": 1, "seed": without})
