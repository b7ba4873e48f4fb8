"""The compiled update and accumulation of the attribution methods.

The headers under `include/` serve both the CPU extension and the CUDA kernels. Importing this package needs
only numpy.
"""

from pathlib import Path

from fluxpath.kernels._cpu import Lanes, Mfaba, Neflag, Reach, Weighted, extent, lane_words

INCLUDE = Path(__file__).resolve().parent / "include"
"""The folder with the headers, for compiling them as CUDA."""

__all__ = ["INCLUDE", "Lanes", "Mfaba", "Neflag", "Reach", "Weighted", "extent", "lane_words"]
