"""Errors on a GPU: which of them end the process, and what to print of the others."""

from __future__ import annotations

import sys
import traceback

CRASHED = 3
"""What a process returns when nothing works in it any more: begin it anew without what crashed it."""

_STICKY = (
    "illegal memory",
    "ILLEGAL_ADDRESS",
    "device-side assert",
    "LAUNCH_FAILED",
    "misaligned",
    "MISALIGNED",
    "unspecified launch failure",
)


def brief(error: BaseException) -> str:
    """The error's kind, and its first and last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ": ".join(
        [type(error).__name__, *([" | ".join(dict.fromkeys((lines[0], lines[-1])))] if lines else [])]
    )[:400]


def sticky(error: BaseException) -> bool:
    """Whether CUDA fails in this process from now on."""
    return any(words in str(error) for words in _STICKY)


def survive(what: str, error: Exception) -> str:
    """Print the error and return it in brief; ends the process if CUDA fails from now on."""
    reason = brief(error)
    print(f"  FAILED {what}: {reason}", flush=True)
    traceback.print_exception(error)
    sys.stderr.flush()
    if sticky(error):
        sys.exit(CRASHED)
    return reason
