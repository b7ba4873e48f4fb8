"""What an attribution request returns, and how it shows itself."""

from fluxpath.runtime.attribution.attribution import Attribution
from fluxpath.runtime.attribution.subject import Subject

__all__ = ["Attribution", "Subject"]
