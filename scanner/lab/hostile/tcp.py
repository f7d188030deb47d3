"""Servers that do not get as far as TLS, or only sometimes."""

from __future__ import annotations

from typing import Final

from scanner.lab.hostile.behaviour import Behaviour, Visit

_ENOUGH: Final = 20
_SLOWED: Final = r'"intolerances": \[[^]]*"rate"|stopped answering after \d+ connections'
"""That it was asked more slowly after a sign of load, and that it did not help."""
_SEEN: Final = ("comp", "proto", "cipher", "kex", "vuln", "cert", "integrity", "https", "headers", "content")


async def _silent(visit: Visit) -> None:
    await visit.silence()


async def _close(visit: Visit) -> None:
    visit.writer.close()


async def _reset(visit: Visit) -> None:
    visit.reset()


async def _close_after_hello(visit: Visit) -> None:
    await visit.hear()


async def _reset_after_hello(visit: Visit) -> None:
    await visit.hear()
    visit.reset()


async def _one_at_a_time(visit: Visit) -> None:
    if visit.others:
        visit.reset()
    else:
        await visit.pass_on()


async def _reset_after_many(visit: Visit) -> None:
    if visit.number > _ENOUGH:
        visit.reset()
    else:
        await visit.pass_on()


async def _ban(visit: Visit) -> None:
    await (visit.silence() if visit.number > _ENOUGH else visit.pass_on())


async def _every_third(visit: Visit) -> None:
    if visit.number % 3 == 0:
        visit.reset()
    else:
        await visit.pass_on()


async def _every_third_hangs(visit: Visit) -> None:
    await (visit.silence() if visit.number % 3 == 0 else visit.pass_on())


async def _flood_first(visit: Visit) -> None:
    await visit.repeat(b"\x00" * 16_384)


TCP: Final = (
    Behaviour(
        name="tcp-silent",
        description="Accepts connections, and never says a word",
        serve=_silent,
        told=r"timed-out \(no answer within 2 s",
        statuses=("unreachable",),
    ),
    Behaviour(
        name="tcp-close",
        description="Closes every connection at once",
        serve=_close,
        told=r"reset \((closed without an answer|Connection reset by peer)",
        statuses=("unreachable",),
    ),
    Behaviour(
        name="tcp-reset",
        description="Resets every connection at once",
        serve=_reset,
        told=r"reset \(Connection reset by peer",
        statuses=("unreachable",),
    ),
    Behaviour(
        name="tcp-close-after-hello",
        description="Closes every connection when it has the hello",
        serve=_close_after_hello,
        told=r"reset \(closed without an answer",
        statuses=("unreachable",),
    ),
    Behaviour(
        name="tcp-reset-after-hello",
        description="Resets every connection when it has the hello",
        serve=_reset_after_hello,
        told=r"reset \(Connection reset by peer",
        statuses=("unreachable",),
    ),
    Behaviour(
        name="tcp-flood",
        description="Sends zeros without end as soon as it is connected to",
        serve=_flood_first,
        told="not-tls|the answer begins with",
        statuses=("unreachable", "partial"),
    ),
    Behaviour(
        name="tcp-one-at-a-time",
        description="Serves one connection, and resets all others meanwhile",
        serve=_one_at_a_time,
        told=_SLOWED,
        statuses=("assessed", "partial"),
        passes=_SEEN,
    ),
    Behaviour(
        name="tcp-reset-after-20",
        description="Resets whatever comes after twenty connections",
        serve=_reset_after_many,
        told=r"the server stopped answering after \d+ connections",
        statuses=("partial",),
        passes=_SEEN,
    ),
    Behaviour(
        name="tcp-ban-after-20",
        description="Leaves whatever comes after twenty connections without an answer",
        serve=_ban,
        told=r"stopped answering after \d+ connections|no answer within 2 s",
        statuses=("partial",),
        passes=_SEEN,
    ),
    Behaviour(
        name="tcp-every-third-reset",
        description="Resets every third connection",
        serve=_every_third,
        told=_SLOWED,
        statuses=("assessed", "partial"),
        passes=_SEEN,
    ),
    Behaviour(
        name="tcp-every-third-hangs",
        description="Leaves every third connection without an answer",
        serve=_every_third_hangs,
        told=_SLOWED,
        statuses=("assessed", "partial"),
        passes=_SEEN,
    ),
)
