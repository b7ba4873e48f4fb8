"""An attribution in pictures: overlays, cards, a folder of them, and a table for notebooks."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from fluxpath.checks import need, whole
from fluxpath.errors import InputError
from fluxpath.files import as_path
from fluxpath.runtime import pictures
from fluxpath.runtime.attribution.subject import (
    Subject,
    are_pictures,
    class_name,
    measure,
    need_pictures,
    unit,
)
from fluxpath.runtime.attribution.words import UNKNOWN, card_caption, row_of, summary
from fluxpath.runtime.pictures import Drawing
from fluxpath.runtime.pictures.drawing import as_drawing
from fluxpath.runtime.records.folder import Folder
from fluxpath.runtime.records.rows import Head
from fluxpath.status import Status

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from fluxpath.runtime.attribution.attribution import Attribution

# Rows of a notebook's table, the first few of them with pictures: each takes some 100 kB of the notebook.
ROWS, PICTURED = 50, 4
IN_TABLE = Drawing(size=160)
HEADERS = ("", "class", "predicted", "score", "steps", "ended by")


def overlay_of(one: Attribution, drawing: Drawing | None) -> Image.Image:
    """See `Attribution.overlay`; `one` has one image."""
    return pictures.overlay(_shown(one), one.values[0], as_drawing(drawing))


def card_of(one: Attribution, drawing: Drawing | None) -> Image.Image:
    """See `Attribution.card`."""
    image = _shown(one)
    return pictures.card(image, one.values[0], card_caption(one), as_drawing(drawing))


def cards_of(result: Attribution, drawing: Drawing | None, most: int) -> Image.Image:
    """See `Attribution.plot`."""
    whole("most", most, 1)
    need(len(result), "there is no image to show")
    cards = [card_of(one, drawing) for one in result[:most]]
    sheet = Image.new("RGB", (max(c.width for c in cards), sum(c.height for c in cards)), "white")
    top = 0
    for card in cards:
        sheet.paste(card, (0, top))
        top += card.height
    return sheet


def save(
    result: Attribution, folder: object, drawing: Drawing | None, cards: bool, names: Sequence[str] | None
) -> list[Path]:
    """See `Attribution.save`."""
    path, drawing = as_path(folder, "the folder to write to"), as_drawing(drawing)
    subject = _subject(result)
    shape = result.values.shape[1:]
    need_pictures(shape, "save `values` with numpy")
    given = [f"{i:06d}" for i in range(len(result))] if names is None else _names(names)
    need(len(given) == len(result), f"there are {len(given)} names for {len(result)} images: give one each")
    draw = card_of if cards else overlay_of
    folder_of = Folder(path, Head(subject.run(), shape), resume=False)
    try:
        written = [
            folder_of.write(draw(one, drawing), row_of(name, one))
            for name, one in zip(given, result, strict=True)
        ]
        folder_of.close()
    except BaseException:
        folder_of.abandon()
        raise
    return written


def html_of(result: Attribution) -> str:
    """A table of the images, the first few with their cards; all text is escaped."""
    pictured = PICTURED if result.subject and are_pictures(result.values.shape[1:]) else 0
    rows = [_html_row(one, i, i < pictured) for i, one in enumerate(result[:ROWS])]
    head = "".join(f"<th>{h}</th>" for h in HEADERS)
    notes = [summary(result).splitlines()[0]]
    if result.subject is not None and not pictured:
        notes.append("These inputs are no images, so there are no pictures.")
    if len(result) > max(pictured, 1) and pictured:
        notes.append(f"Pictures of the first {pictured}; .card(i) draws any other.")
    if len(result) > ROWS:
        notes.append(f"{len(result) - ROWS} more images are not listed.")
    words = "<br>".join(escape(note) for note in notes)
    return f"<p>{words}</p><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _html_row(one: Attribution, number: int, pictured: bool) -> str:
    manifest = None if one.subject is None else one.subject.manifest
    status = Status(int(one.status[0]))
    cells = [
        class_name(manifest, int(one.target[0])),
        class_name(manifest, int(one.label[0])),
        measure(manifest, float(one.score[0])),
        str(one.steps[0]),
    ]
    first = _html_card(one) if pictured else str(number)
    ended = f'<td title="{escape(status.meaning)}">{status.words}</td>'
    return f"<tr><td>{first}</td>{''.join(f'<td>{escape(c)}</td>' for c in cells)}{ended}</tr>"


def _html_card(one: Attribution) -> str:
    data = io.BytesIO()
    card_of(one, IN_TABLE).save(data, "PNG")
    text = f"photo, heat map and both together: {card_caption(one)}"
    encoded = base64.b64encode(data.getvalue()).decode()
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{encoded}">'


def _names(given: Any) -> list[str]:
    listed = isinstance(given, Iterable) and not isinstance(given, str)
    names = list(given) if listed else [given]
    fits = listed and all(isinstance(name, str) for name in names)
    need(fits, f"names must be a sequence of str, got {names!r:.80}")
    return names


def _subject(result: Attribution) -> Subject:
    if result.subject is None:
        raise InputError(f"{UNKNOWN}; draw `values` with fluxpath.runtime.pictures")
    return result.subject


def _shown(one: Attribution) -> npt.NDArray[np.float32]:
    """The explained image, in [0, 1]."""
    subject = _subject(one)
    need_pictures(one.values.shape[1:], "`values` has the attribution of each number")
    return unit(subject.images[0], subject.manifest.low, subject.manifest.high)
