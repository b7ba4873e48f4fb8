"""How an attribution is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from fluxpath.checks import need, number, one_of, plain, whole
from fluxpath.errors import InputError
from fluxpath.runtime.pictures.colours import COLORMAPS

Polarity: TypeAlias = Literal["positive", "negative", "both"]
Overlay: TypeAlias = Literal["none", "original", "grayscale", "mask"]
Channels: TypeAlias = Literal["sum", "abs", "max"]

POLARITIES: tuple[Polarity, ...] = ("positive", "negative", "both")
OVERLAYS: tuple[Overlay, ...] = ("none", "original", "grayscale", "mask")
CHANNELS: tuple[Channels, ...] = ("sum", "abs", "max")

# Images of up to so many pixels on the longer side show their pixels: enlarged without blur.
SMALL = 64
# The most pixels of a picture's longer side.
LARGEST = 4096


@dataclass(frozen=True)
class Drawing:
    """The settings of a picture of an attribution; wrong ones raise InputError.

    polarity: which evidence is shown: for the target ("positive"), against it ("negative"), or "both".
    clip_percent_lowerbound, clip_percent_upperbound: percentiles of the map's magnitude, as in Vertex AI.
        What is below the first is not coloured, what is above the second has the strongest colour.
    smooth: the standard deviation, in pixels of the attribution, of a Gaussian that is applied to the map
        before it is clipped; 0 is off. "auto" is 1/36 of the longer side, 6 at 224 pixels, and 0 up
        to 64 pixels.
    colormap: "ember", "frost", "polar" or "grey"; None takes one of the first three by polarity.
    overlay: what is under the heat: "none" (the heat alone), the photo "original" or in "grayscale", or
        "mask", which shows the photo itself where it counts and black elsewhere.
    outlines: draws a line around the strongest so many percent of the pixels; 0 is off.
    size: the longer side of the picture in pixels, at most 4096. None keeps the image's, but not below 224:
        there it is enlarged, up to 64 pixels by a whole number.
    channels: how channels become one map. "sum" keeps the meaning of attributions, which add up to a change
        of the score; "abs" sums magnitudes; "max" takes the largest.
    alpha: how much of what is under the strongest heat is hidden, from 0 to 1.
    brightness: of the photo under the heat, from 0 to 1.
    """

    polarity: Polarity = "positive"
    clip_percent_lowerbound: float = 85.0
    clip_percent_upperbound: float = 99.5
    smooth: Literal["auto"] | float = "auto"
    colormap: str | None = None
    overlay: Overlay = "grayscale"
    outlines: float = 0.0
    size: int | None = None
    channels: Channels = "sum"
    alpha: float = 0.9
    brightness: float = 0.65

    def __post_init__(self) -> None:
        plain(self)
        one_of("polarity", self.polarity, POLARITIES)
        one_of("overlay", self.overlay, OVERLAYS)
        one_of("channels", self.channels, CHANNELS)
        low, high = self.clip_percent_lowerbound, self.clip_percent_upperbound
        number("clip_percent_lowerbound", low, 0, 100)
        number("clip_percent_upperbound", high, 0, 100)
        need(
            low < high, f"clip_percent_lowerbound must be below clip_percent_upperbound, got {low} and {high}"
        )
        if self.smooth != "auto":
            number('smooth (if not "auto")', self.smooth, 0, LARGEST)
        if self.colormap is not None:
            one_of("colormap", self.colormap, tuple(COLORMAPS))
        number("outlines", self.outlines, 0, 100)
        if self.size is not None:
            whole("size", self.size, 1, LARGEST)
        number("alpha", self.alpha, 0, 1)
        number("brightness", self.brightness, 0, 1)

    def sigma(self, height: int, width: int) -> float:
        """The standard deviation of the Gaussian for an attribution of this size, in its pixels."""
        longer = max(height, width)
        if self.smooth == "auto":
            return 0.0 if longer <= SMALL else longer / 36
        return float(self.smooth)


DEFAULT = Drawing()


def as_drawing(given: object) -> Drawing:
    """The drawing, the default one for None; InputError for anything else."""
    if given is None:
        return DEFAULT
    if not isinstance(given, Drawing):
        raise InputError(f"drawing is {given!r}, it must be a fluxpath.runtime.pictures.Drawing")
    return given
