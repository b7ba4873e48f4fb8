"""The attribution methods, one file each."""

from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.deeplift import DeepLIFT
from fluxpath.runtime.methods.mfaba import MFABA
from fluxpath.runtime.methods.neflag import NeFLAG

__all__ = ["MFABA", "DeepLIFT", "Method", "NeFLAG"]
