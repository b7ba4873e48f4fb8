"""The compiled update and accumulation of the attribution methods.

One set of headers under `include/` serves the CPU extension here and the CUDA build. Importing this
package needs numpy only.
"""

from pathlib import Path

from fluxpath.kernels._cpu import Lanes, Mfaba, Neflag, Weighted, extent, lane_words

INCLUDE = Path(__file__).resolve().parent / "include"
"""The folder with the headers, for compiling them as CUDA."""

__all__ = ["INCLUDE", "Lanes", "Mfaba", "Neflag", "Weighted", "extent", "lane_words"]
