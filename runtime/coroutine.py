"""Requests for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Result = TypeVar("Result")


async def awaited(submit: Callable[[], Future[Result]]) -> Result:
    """The result of the future that `submit` gives, which runs on another thread: it may decode photos.

    If the task is cancelled, so is the future, also where `submit` has not given it yet.
    """
    submitting = asyncio.get_running_loop().run_in_executor(None, submit)
    try:
        future = await asyncio.shield(submitting)
    except asyncio.CancelledError:
        submitting.add_done_callback(cancel_result)
        raise
    return await asyncio.wrap_future(future)


def cancel_result(submitting: Any) -> None:
    """A callback of the future that runs `submit`, of asyncio or of a thread: cancel what `submit` gave."""
    if not submitting.cancelled() and submitting.exception() is None:
        submitting.result().cancel()
