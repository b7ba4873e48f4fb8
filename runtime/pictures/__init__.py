"""Turns attributions into pictures and photos into arrays; needs only numpy and Pillow."""

from fluxpath.runtime.pictures.maps import COLORMAPS, heatmap, normalize, overlay
from fluxpath.runtime.pictures.photos import FORMATS, MAX_PIXELS, SUFFIXES, load_image
from fluxpath.runtime.pictures.png import is_ours, save_png
from fluxpath.runtime.pictures.sheet import contact_sheet

__all__ = [
    "COLORMAPS",
    "FORMATS",
    "MAX_PIXELS",
    "SUFFIXES",
    "contact_sheet",
    "heatmap",
    "is_ours",
    "load_image",
    "normalize",
    "overlay",
    "save_png",
]
