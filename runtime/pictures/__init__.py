"""Turns attributions into pictures and photos into arrays; needs only numpy and Pillow."""

from fluxpath.runtime.pictures.colours import COLORMAPS
from fluxpath.runtime.pictures.curves import Curves, curves
from fluxpath.runtime.pictures.drawing import Drawing
from fluxpath.runtime.pictures.maps import normalize
from fluxpath.runtime.pictures.overlays import heatmap, overlay, picture
from fluxpath.runtime.pictures.photos import FORMATS, MAX_PIXELS, SUFFIXES, load_image
from fluxpath.runtime.pictures.png import is_ours, save_png
from fluxpath.runtime.pictures.sheet import card, contact_sheet, strip

__all__ = [
    "COLORMAPS",
    "FORMATS",
    "MAX_PIXELS",
    "SUFFIXES",
    "Curves",
    "Drawing",
    "card",
    "contact_sheet",
    "curves",
    "heatmap",
    "is_ours",
    "load_image",
    "normalize",
    "overlay",
    "picture",
    "save_png",
    "strip",
]
