"""A folder of overlays or cards: one PNG per image, optionally its attribution as .npy, and results.jsonl."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.attribution.subject import need_pictures, unit
from fluxpath.runtime.attribution.words import card_caption, row_of
from fluxpath.runtime.pictures import Drawing, card, overlay
from fluxpath.runtime.pictures.drawing import as_drawing
from fluxpath.runtime.records.folder import Folder
from fluxpath.runtime.records.rows import Head


class FolderSink:
    """Writes a picture of each image into a `Folder`, which says how they are named and what is kept.

    low, high: the input's range. npy: also write the attribution, float32 [*shape], beside the picture.
    drawing: how the pictures look; cards: whether they are cards, which have photo and heat map beside the
    overlay. A run that draws otherwise does not continue this one.
    Raises InputError if inputs are not pictures, and as `Folder` does.
    """

    def __init__(
        self,
        folder: Path,
        head: Head,
        resume: bool,
        *,
        low: float | None = None,
        high: float | None = None,
        npy: bool = False,
        flat: bool = False,
        drawing: Drawing | None = None,
        cards: bool = False,
    ) -> None:
        need_pictures(head.shape, "write to a .npz, .npy, .parquet or .jsonl file")
        self._range, self._cards, self._drawing = (low, high), cards, as_drawing(drawing)
        drawn = {"drawing": repr(self._drawing), "pictures": "cards" if cards else "overlays"}
        self._folder = Folder(folder, replace(head, run={**head.run, **drawn}), resume, npy=npy, flat=flat)

    def done(self, name: str) -> bool:
        """Whether all of this image's files exist with the right sizes."""
        return self._folder.done(name)

    def write(self, name: str, image: npt.NDArray[np.float32], result: Attribution) -> Path:
        """Write the picture, then its row, so that all files in results.jsonl exist; return the picture's."""
        shown, values = unit(image, *self._range), result.values[0]
        if self._cards:
            picture = card(shown, values, card_caption(result), self._drawing)
        else:
            picture = overlay(shown, values, self._drawing)
        return self._folder.write(picture, row_of(name, result), values)

    def close(self) -> None:
        """Close results.jsonl; FluxpathError if somebody deleted it."""
        self._folder.close()

    def abandon(self) -> None:
        """Close results.jsonl, and delete it if nothing was written: a folder with one is not a source."""
        self._folder.abandon()
