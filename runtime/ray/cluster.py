"""Ray itself: whether it is installed, the cluster that is meant, and what its errors say."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fluxpath.errors import FluxpathError, InputError, ProviderError, first_line

LOCAL = "local"
SECONDS = 5.0
"""For an address to answer: Ray itself tries for minutes, and can end the process."""


def need_ray() -> Any:
    """The package `ray`; ProviderError, which says what to install, without it."""
    try:
        import ray
    except ImportError as error:
        if error.name != "ray":
            raise
        raise ProviderError('this needs Ray: pip install "fluxpath[ray]"') from error
    return ray


@contextmanager
def cluster(address: str | None, **options: Any) -> Iterator[Any]:
    """The package `ray`, connected until the end of the block.

    address: "local" starts a cluster of this machine's cores and ends it again, "auto" is the one that runs
        on this machine, and HOST:PORT one that this machine belongs to. None: what is connected already, else
        "auto". options: of `ray.init`.
    Raises ProviderError without Ray, InputError for an address at which no cluster is.
    """
    ray = need_ray()
    if ray.is_initialized():
        if address is not None:
            raise InputError("Ray is connected already: leave out the address, or call ray.shutdown() first")
        yield ray
        return
    _connect(ray, "auto" if address is None else address, options)
    try:
        yield ray
    finally:
        ray.shutdown()


def _connect(ray: Any, address: str, options: dict[str, Any]) -> None:
    wrong = f"there is no Ray cluster at '{address}'"
    right = "start one with 'ray start --head' and give its HOST:PORT, or 'local' for one of this machine"
    found = re.fullmatch(r"\[?([^/\[\]]+?)\]?:(\d{1,5})", address)
    if found is not None:
        try:
            socket.create_connection((found[1], int(found[2])), SECONDS).close()
        except (OSError, OverflowError) as error:
            raise InputError(f"{wrong} ({first_line(error)}): {right}") from error
    elif address not in (LOCAL, "auto"):
        raise InputError(f"the address of a Ray cluster is local, auto or HOST:PORT, and not '{address}'")
    if address == LOCAL:
        options = {"include_dashboard": False, **options}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **options)
    except (ConnectionError, ValueError, RuntimeError, SystemExit) as error:
        raise InputError(f"{wrong} ({first_line(error)}): {right}") from error


@contextmanager
def told() -> Iterator[None]:
    """What fluxpath, or the disk, raised on another machine is raised here, and Ray's own in a sentence."""
    from ray.exceptions import RayError

    try:
        yield
    except (FluxpathError, OSError):
        raise
    except Exception as error:
        for cause in _causes(error):
            if isinstance(cause, FluxpathError | OSError) and not isinstance(cause, RayError):
                raise cause from None
        if isinstance(error, RayError):
            raise FluxpathError(f"Ray gave up: {first_line(error)}") from error
        raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    rest: list[Any] = [error]
    while rest:
        one = rest.pop(0)
        if isinstance(one, BaseException) and not any(one is other for other in seen):
            seen.append(one)
            yield one
            rest += [getattr(one, "cause", None), one.__cause__, one.__context__]
