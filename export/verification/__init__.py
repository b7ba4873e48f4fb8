"""Holds what an export writes against an independent gradient in float64."""

from fluxpath.export.verification.gradient import Verification, verify

__all__ = ["Verification", "verify"]
