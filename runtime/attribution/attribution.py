"""Attributions of images: the class that `Explainer.attribute` returns."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fluxpath.indexing import number_of, selected
from fluxpath.runtime.attribution.subject import Subject
from fluxpath.runtime.attribution.words import summary

if TYPE_CHECKING:
    from PIL import Image

    from fluxpath.runtime.pictures import Drawing


@dataclass(frozen=True, repr=False, eq=False)
class Attribution:
    """Attributions of n images and how they came about; the first dimension of every array is n.

    values: float32 [n, *input shape], in units of the objective (positive is evidence for the target).
    target: int64 [n], the explained class. label: int64 [n], the predicted class.
    steps: int32 [n], steps taken, summed over the image's lanes. status: int32 [n], a `Status`.
    score: float32 [n], the objective at the image.
    end_score: float32 [n], the objective where the walk ended, or at the baseline; NaN where an image has no
        such point (BIG finds no boundary). None for methods that have no single end point or do not evaluate
        the model there.
    subject: what was explained, from which pictures and names come; None if you made the object without.

    It prints in three lines. `result[i]` (also -1, a slice, an array of numbers or booleans) is an
    Attribution of those images, and iterating gives one of each image. In a notebook it shows itself as a
    table with pictures. All pictures need inputs [h, w], [1, h, w] or [3, h, w], and raise InputError for
    others and without a subject; `drawing` says how they look, a `fluxpath.runtime.pictures.Drawing`.
    """

    values: npt.NDArray[np.float32]
    target: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    steps: npt.NDArray[np.int32]
    status: npt.NDArray[np.int32]
    score: npt.NDArray[np.float32]
    end_score: npt.NDArray[np.float32] | None
    subject: Subject | None = None

    def __len__(self) -> int:
        return len(self.target)

    def __getitem__(self, index: Any) -> Attribution:
        index = selected(index, len(self))
        return Attribution(
            values=self.values[index],
            target=self.target[index],
            label=self.label[index],
            steps=self.steps[index],
            status=self.status[index],
            score=self.score[index],
            end_score=None if self.end_score is None else self.end_score[index],
            subject=None if self.subject is None else self.subject[index],
        )

    def _one(self, index: Any) -> Attribution:
        """The image of a number; IndexError for what is no number."""
        if number_of(index) is None:
            raise IndexError(f"one image is drawn, by its number, got {index!r}")
        return self[index]

    def __iter__(self) -> Iterator[Attribution]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return summary(self)

    @property
    def error_rate(self) -> npt.NDArray[np.float64]:
        """How far each attribution is from complete, float64 [n]; 0 is exact.

        |sum(values) - (score(x_0) - score(x_n))| / |score(x_0) - score(x_n)|: how far the ratio in the MFABA
        paper's "error rate evaluation indicators" is from one, which its Table 1 reports.
        Infinite where the score did not change but the sum is not zero. NaN where there is no end score: for
        every image of a method that has none (`end_score` is None), as NeFLAG or Saliency.
        """
        if self.end_score is None:
            return np.full(len(self), np.nan)
        change = self.score.astype(np.float64) - self.end_score
        total = self.values.reshape(len(self), math.prod(self.values.shape[1:])).sum(axis=1, dtype=np.float64)
        gap = np.abs(total - change)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(gap == 0, 0.0, gap / np.abs(change))

    def overlay(self, i: int = 0, drawing: Drawing | None = None) -> Image.Image:
        """Image `i` under its heat map, a PIL RGB image."""
        from fluxpath.runtime.attribution.views import overlay_of

        return overlay_of(self._one(i), drawing)

    def card(self, i: int = 0, drawing: Drawing | None = None) -> Image.Image:
        """Image `i`, its heat map and both together, with class, probability and method; a PIL RGB image."""
        from fluxpath.runtime.attribution.views import card_of

        return card_of(self._one(i), drawing)

    def plot(self, drawing: Drawing | None = None, most: int = 8) -> Image.Image:
        """The cards of the first `most` images below one another: a PIL RGB image, which a notebook shows."""
        from fluxpath.runtime.attribution.views import cards_of

        return cards_of(self, drawing, most)

    def save(
        self,
        folder: str | os.PathLike[str],
        drawing: Drawing | None = None,
        *,
        cards: bool = True,
        names: Sequence[str] | None = None,
    ) -> list[Path]:
        """Write a PNG file of each image, and results.jsonl, the table of them, into a folder; the PNG files.

        cards: False writes overlays. names: the images' names, from which the files' follow; by default their
        numbers ("000000.png"). An image that has a name already gets a number, as in "cat-2.png".

        Replaces what fluxpath wrote there, and nothing else: InputError for a file of others that is in the
        way, and while another run writes to the folder. Pictures of an earlier run under other names stay;
        results.jsonl lists those of this one.
        """
        from fluxpath.runtime.attribution.views import save

        return save(self, folder, drawing, cards, names)

    def _repr_html_(self) -> str:
        from fluxpath.runtime.attribution.views import html_of

        return html_of(self)
