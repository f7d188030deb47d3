"""What a process that probes may do instead of probing; it is found there by its module's name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from scanner.dispatch import LocalDispatcher
from scanner.dispatch import engine as engines
from scanner.dispatch.engine import Engine
from scanner.evidence import Attempt, FailureReason, TargetEvidence
from scanner.inventory import Environment, Target
from scanner.probe.net.budget import Budget

CROWDED = "127.0.0.99"
"""An address that every target's probe asks as well, as redirects to one host do."""
Asks = Callable[[Target, Budget], Awaitable[str]]


def told(text: object) -> Attempt:
    """Evidence that can say anything."""
    return Attempt.failed(FailureReason.NOT_RUN, text)


@dataclass
class Asking:
    """A probe that tells of each connection when it began and when it ended."""

    asks: Asks
    name: Literal["tls", "http", "dns"] = "tls"

    async def observe(self, target: Target, _: Environment, budget: Budget) -> Attempt:
        return told(await self.asks(target, budget))


async def spans(budget: Budget, *, ip: str | None, count: int) -> str:
    held, asked = [], time.monotonic()
    for _ in range(count):
        async with budget.connection(ip):
            begun = time.monotonic()
            await asyncio.sleep(0.01)
            held.append(f"{begun:.6f}-{time.monotonic():.6f}")
    return f"{os.getpid()} {asked:.6f} {' '.join(held)}"


async def own(_: Target, budget: Budget) -> str:
    return await spans(budget, ip=None, count=5)


async def crowd(_: Target, budget: Budget) -> str:
    return await spans(budget, ip=CROWDED, count=3)


async def die_of(target: Target, budget: Budget) -> str:
    """Targets whose name says so end the process: each time, or the first time alone."""
    host = target.endpoint.host
    await asyncio.sleep(0.05)
    if host.startswith("poison"):
        os.kill(os.getpid(), signal.SIGKILL)
    if host.startswith("once"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(target.endpoint.consoles[0].paths[0])  # noqa: PTH107  # in a moment the process is gone
            os.kill(os.getpid(), signal.SIGKILL)
    return await spans(budget, ip=None, count=1)


async def hang(target: Target, budget: Budget) -> str:
    if target.endpoint.host.startswith("hangs"):
        await asyncio.Event().wait()
    return await spans(budget, ip=None, count=1)


def serve_own(channel: socket.socket) -> None:
    engines.serve(channel, _probing(own))


def serve_crowd(channel: socket.socket) -> None:
    engines.serve(channel, _probing(crowd))


def serve_dying(channel: socket.socket) -> None:
    engines.serve(channel, _probing(die_of))


def serve_hanging(channel: socket.socket) -> None:
    engines.serve(channel, _probing(hang))


def _probing(asks: Asks) -> engines.Probed:
    async def probed(engine: Engine, targets: AsyncIterable[Target]) -> AsyncGenerator[tuple[Target, TargetEvidence]]:
        order = engine.order
        dispatcher = LocalDispatcher(
            order.settings, [Asking(asks)], order.concurrency, engine.tell, budget=engine.budget
        )
        async for found in dispatcher.dispatch(targets, order.environments):
            yield found

    return probed
