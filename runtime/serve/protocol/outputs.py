"""An attribution as the tensors that were asked for."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.pictures import FORMATS, Drawing, heatmap, overlay, picture
from fluxpath.runtime.pictures.maps import evidence
from fluxpath.runtime.pictures.photos import reading
from fluxpath.runtime.serve.protocol import tensors
from fluxpath.runtime.serve.protocol.tensors import Tensor

DRAWN = ("heatmap", "overlay", "photo", "map")
"""What is made in a thread; "photo" is the image as the model saw it, "map" the evidence that is drawn."""


def tensors_of(
    names: Sequence[str],
    result: Attribution,
    photos: Sequence[npt.NDArray[np.float32]],
    drawing: Drawing,
    half: bool,
) -> dict[str, Tensor]:
    """The outputs `names` of an attribution; photos: each float [c, h, w] in [0, 1], for the overlays."""
    return {name: _one(name, result, photos, drawing, half) for name in names}


def _one(name: str, result: Attribution, photos: Any, drawing: Drawing, half: bool) -> Tensor:
    if name == "attribution":
        with np.errstate(over="ignore"):
            return tensors.of(name, result.values.astype(np.float16) if half else result.values)
    if name == "heatmap":
        return tensors.of(name, np.stack([np.asarray(heatmap(v, drawing)) for v in result.values]))
    if name == "photo":
        return tensors.of(name, [png(picture(p, drawing.size)) for p in photos])
    if name == "map":
        signed = replace(drawing, polarity="both")
        return tensors.of(name, np.stack([evidence(v, signed) for v in result.values]).astype(np.float32))
    if name == "overlay":
        return tensors.of(
            name, [png(overlay(p, v, drawing)) for p, v in zip(photos, result.values, strict=True)]
        )
    if name == "end_score" and result.end_score is None:
        return tensors.of(name, np.full(len(result), np.nan, np.float32))
    return tensors.of(name, np.asarray(getattr(result, name)))


def png(drawn: Any) -> bytes:
    """A PIL picture as a PNG file."""
    stream = io.BytesIO()
    drawn.save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def size_of(photo: bytes) -> tuple[int, int]:
    """Width and height that a photo's file claims; nothing is decoded. InputError if it is no photo."""
    with reading("the photo"), Image.open(io.BytesIO(photo), formats=tuple(FORMATS)) as file:
        return file.size
