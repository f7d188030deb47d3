"""The hard bound of a probe: whatever it does, whoever runs it goes on when its time is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from scanner.evidence import Failure, FailureReason

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_TO_LEAVE_S: Final = 0.5
"""How long a probe that was cancelled may take to leave, before it is left behind."""
_LEFT_BEHIND: Final[set[asyncio.Task[Any]]] = set()
"""Probes that did not leave: a task that nobody holds would be collected while it runs."""


async def cut_off(probe: Coroutine[Any, Any, T], until: Callable[[], float], failed: Callable[[Failure], T]) -> T:
    """Await a probe until a time that may move on meanwhile; its fault, like its lateness, is a value.

    Args:
        probe: what is awaited. It is cancelled when it is late, and left behind if it does not heed that.
        until: the time of the event loop's clock at which it is late; asked again whenever it has come.
        failed: makes a result of the reason why there is none: `deadline`, or `engine-error` where it raised.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(probe)
    try:
        while not task.done() and (left := until() - loop.time()) > 0:
            await asyncio.wait({task}, timeout=left)
    finally:
        if not task.done():
            await _end(task)
    if task.cancelled() or not task.done():
        return failed(Failure(FailureReason.DEADLINE))
    error = task.exception()
    if error is None:
        return task.result()
    if not isinstance(error, Exception):
        raise error
    _LOG.warning("a probe failed", exc_info=error)
    return failed(Failure.of(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}"))


async def _end(task: asyncio.Task[T]) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=_TO_LEAVE_S)
    if not task.done():
        _LOG.error("a probe does not end, and is left behind: %s", task)
        _LEFT_BEHIND.add(task)
        task.add_done_callback(_LEFT_BEHIND.discard)
