"""Holds what an export writes against an independent gradient in float64."""

from fluxpath.export.verification.gradient import verify
from fluxpath.export.verification.judgement import Verification

__all__ = ["Verification", "verify"]
