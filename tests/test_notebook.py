"""The notebook in examples/ runs from top to bottom, shows pictures, and stands there as it ran.

It is committed with its outputs, which GitHub shows to whoever does not run it. After a change:
`jupyter execute --inplace examples/explain.ipynb` (of nbclient), without the JPEGs that Pillow adds.
"""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

nbformat = pytest.importorskip("nbformat", reason="nbclient, which runs notebooks, is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient, which runs notebooks, is not installed")
pytest.importorskip("ipykernel", reason="ipykernel, which runs notebooks, is not installed")
pytest.importorskip("sklearn", reason="the digits come with scikit-learn")

NOTEBOOK = Path(__file__).resolve().parents[1] / "examples" / "explain.ipynb"
EMBEDDED = re.compile(r'src="data:image/png;base64,([^"]+)"')


@pytest.fixture(scope="module")
def committed() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(committed, tmp_path_factory) -> Any:
    book = nbformat.from_dict(committed)
    folder = tmp_path_factory.mktemp("notebook")
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    assert list(folder.iterdir()) == [], "it leaves nothing behind"
    return book


def outputs(book) -> list[Any]:
    return [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


def pictures(book) -> list[Image.Image]:
    """The pictures that the cells show, on their own and in tables."""
    found = []
    for output in outputs(book):
        data = output.get("data", {})
        found += [data["image/png"]] if "image/png" in data else EMBEDDED.findall(data.get("text/html", ""))
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def test_it_runs_and_shows_pictures(executed):
    shown = pictures(executed)
    assert len(shown) >= 6
    for picture in shown:
        pixels = np.asarray(picture.convert("RGB"))
        assert picture.width > 300 and picture.height > 160
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10, "it is not blank"
    assert not any(output.output_type == "error" for output in outputs(executed))


def test_nothing_is_said_on_standard_error(executed):
    """Neither a warning nor a bar that stays."""
    assert [o.text for o in outputs(executed) if o.output_type == "stream" and o.name == "stderr"] == []


def test_what_is_committed_is_what_it_shows(committed, executed):
    def kinds(book):
        return [[(o.output_type, o.get("name")) for o in c.get("outputs", [])] for c in book.cells]

    assert kinds(committed) == kinds(executed)
    sizes = [[picture.size for picture in pictures(book)] for book in (committed, executed)]
    assert sizes[0] == sizes[1]
    lines = [[o.text for o in outputs(book) if o.output_type == "stream"] for book in (committed, executed)]
    assert [text.splitlines()[0] for text in lines[0]] == [text.splitlines()[0] for text in lines[1]]


def test_it_is_small_and_says_nothing_of_who_ran_it():
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 200_000 and "image/jpeg" not in text
    assert not re.search(r"/tmp|/home|/root|Traceback", text)
