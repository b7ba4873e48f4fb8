"""The attribution methods, one file each."""

from fluxpath.runtime.methods.agi import AGI
from fluxpath.runtime.methods.base import Method
from fluxpath.runtime.methods.big import BIG
from fluxpath.runtime.methods.guided_ig import GuidedIG
from fluxpath.runtime.methods.mfaba import MFABA
from fluxpath.runtime.methods.neflag import NeFLAG

__all__ = ["AGI", "BIG", "MFABA", "GuidedIG", "Method", "NeFLAG"]
