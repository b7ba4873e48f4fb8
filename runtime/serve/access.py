"""Who asks, and under which id: tokens and traces, of both transports."""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass

from fluxpath.runtime.serve.protocol.errors import UnauthorizedError

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


@dataclass(frozen=True)
class Trace:
    """The request's id, the caller's or a new one, and the trace that it belongs to (W3C), if any."""

    id: str
    trace: str | None

    @classmethod
    def of(cls, id: str | None, parent: str | None) -> Trace:
        """From the headers x-request-id and traceparent."""
        found = _TRACE.fullmatch(parent or "")
        trace = found[1] if found and set(found[1]) != {"0"} else None
        if id is not None and _ID.fullmatch(id):
            return cls(id, trace)
        return cls(trace or secrets.token_hex(16), trace)


def check_token(header: str | None, token: str | None) -> None:
    """UnauthorizedError unless the header bears the token; compared in constant time."""
    if token is None:
        return
    scheme, _, given = (header or "").partition(" ")
    right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())
    if scheme.lower() != "bearer" or not right:
        raise UnauthorizedError("the request needs the server's token: send 'Authorization: Bearer TOKEN'")
