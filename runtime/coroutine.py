"""Requests for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Result = TypeVar("Result")


async def awaited(submit: Callable[[], Future[Result]]) -> Result:
    """The result of the future that `submit` gives, which runs on another thread: it may decode photos.

    If the task is cancelled, so is the future, also where `submit` has not given it yet.
    """
    submitting = asyncio.get_running_loop().run_in_executor(None, submit)
    try:
        future = await asyncio.shield(submitting)
    except asyncio.CancelledError:
        submitting.add_done_callback(_cancel)
        raise
    return await asyncio.wrap_future(future)


def _cancel(submitting: asyncio.Future[Future[Result]]) -> None:
    if not submitting.cancelled() and submitting.exception() is None:
        submitting.result().cancel()
