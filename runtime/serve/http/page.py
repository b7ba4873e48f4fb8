"""The page for people: one file, with headers that let it load and reach nothing but this server."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response


class Page:
    """The endpoint of /."""

    def __init__(self) -> None:
        self._text = resources.files("fluxpath.runtime.serve").joinpath("page/index.html").read_text("utf-8")
        # The script sets widths of bars, which is no style in the text and needs no leave.
        policy = {
            "default-src": "'none'",
            "script-src": _hashes(self._text, "script"),
            "style-src": _hashes(self._text, "style"),
            "img-src": "data:",
            "connect-src": "'self'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
            "base-uri": "'none'",
        }
        self._headers = {
            "content-security-policy": "; ".join(f"{key} {value}" for key, value in policy.items()),
            "x-frame-options": "DENY",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
            "cache-control": "no-cache",
        }

    async def show(self, request: Request) -> Response:
        """The page."""
        return HTMLResponse(self._text, headers=self._headers)


def _hashes(text: str, tag: str) -> str:
    """What a policy calls the contents of the page's own elements `tag`."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in found)
    return " ".join(f"'sha256-{digest}'" for digest in digests)
