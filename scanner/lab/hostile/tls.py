"""Servers that answer a hello with something that no server should say."""

from __future__ import annotations

import asyncio
import random
from typing import Final

from tlslite.constants import TLS_1_3_HRR, AlertDescription, ContentType  # type: ignore[import-untyped]  # no types

from scanner.lab.hostile import flights
from scanner.lab.hostile.behaviour import Behaviour, Serve, Status, Visit

_SUITE: Final = 0x009C
_NOBODYS: Final = 0x6B6B
"""A suite that is not registered, and so is offered by nobody."""
_RETRY: Final = bytes(TLS_1_3_HRR)
_TLS1_3: Final = bytes.fromhex("002b00020304")
_REFUSAL: Final = flights.alert(AlertDescription.handshake_failure)


def _always(answer: bytes, *, stay: bool = True) -> Serve:
    async def serve(visit: Visit) -> None:
        await visit.hear()
        await visit.say(answer)
        if stay:
            await visit.silence()

    return serve


def _without_end(piece: bytes) -> Serve:
    async def serve(visit: Visit) -> None:
        await visit.hear()
        await visit.repeat(piece)

    return serve


async def _garbage(visit: Visit) -> None:
    await visit.hear()
    await visit.say(random.Random(visit.number).randbytes(4096))  # noqa: S311  # garbage, not a secret
    await visit.silence()


async def _echo(visit: Visit) -> None:
    await visit.say(await visit.hear())
    await visit.silence()


async def _drip(visit: Visit) -> None:
    suite = flights.usual(await visit.hear())
    await visit.drip(flights.flight(suite, visit.setting.chain) if suite else _REFUSAL)


async def _hello_then_silence(visit: Visit) -> None:
    suite = flights.usual(await visit.hear())
    await visit.say(flights.handshake(flights.server_hello(suite)) if suite else _REFUSAL)
    await visit.silence()


async def _hello_then_reset(visit: Visit) -> None:
    suite = flights.usual(await visit.hear())
    await visit.say(flights.handshake(flights.server_hello(suite)) if suite else _REFUSAL)
    await asyncio.sleep(0.05)
    visit.reset()


async def _fragments(visit: Visit) -> None:
    suite = flights.usual(await visit.hear())
    if suite is None:
        await visit.say(_REFUSAL)
        return
    whole = flights.flight(suite, visit.setting.chain)[5:]
    await visit.say(b"".join(flights.record(ContentType.handshake, whole[at : at + 1]) for at in range(len(whole))))
    await visit.silence()


async def _other_suite(visit: Visit) -> None:
    if flights.suites_of(await visit.hear()):
        await visit.say(flights.flight(_NOBODYS, visit.setting.chain))
    else:
        await visit.say(_REFUSAL)
    await visit.silence()


async def _any_answer(visit: Visit) -> None:
    hello = await visit.hear()
    offered = flights.suites_of(hello)
    chance = random.Random(visit.number * 7919)  # noqa: S311  # the same in each round, no secret
    what = chance.randrange(4)
    if what == 0 or not offered:
        await visit.say(_REFUSAL)
    elif what == 1:
        visit.reset()
    elif what == 2:  # noqa: PLR2004  # of four
        await visit.say(flights.flight(chance.choice(offered), visit.setting.chain))
        await visit.silence()
    else:
        await visit.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def _retries(visit: Visit) -> None:
    hello = await visit.hear()
    retry = flights.server_hello(0x1301, random=_RETRY, extensions=_TLS1_3 + bytes.fromhex("003300020017"))
    while hello:
        await visit.say(flights.handshake(retry) if flights.offers_tls13(hello) else _REFUSAL)
        hello = await visit.hear()


async def _alternating(visit: Visit) -> None:
    """Yes to the odd connections, no to the even ones."""
    suite = flights.usual(await visit.hear())
    await visit.say(flights.flight(suite, visit.setting.chain) if suite and visit.number % 2 else _REFUSAL)
    await visit.silence()


_LYING_EXTENSIONS: Final = flights.message(2, flights.server_hello(_SUITE)[4:] + b"\xff\xff\x00\x17\xff\xff")
_NOT_TLS: Final = "not-tls|the answer begins with"
_NO_ANSWER: Final = r"timed-out \((tls1\.\d: )?no answer within 2 s"
_RESET: Final = r"reset \(Connection reset by peer"
_REFUSED: Final = "alert handshake failure|accepted at first, refused when it was offered again"
_ONE_OF_FOUR: Final = rf"the answer begins with|{_RESET}|{_REFUSED}"
_NOTHING: Final[tuple[Status, ...]] = ("unreachable", "partial")


def _tls(
    name: str, description: str, serve: Serve, told: str, statuses: tuple[Status, ...] = _NOTHING, *passes: str
) -> Behaviour:
    return Behaviour(
        name=f"tls-{name}", description=description, serve=serve, told=told, statuses=statuses, passes=passes
    )


_SOME: Final[tuple[Status, ...]] = ("partial", "assessed", "unreachable")
_HELLO_ALONE: Final = ("https.active", "proto", "cipher", "vuln", "kex", "integrity", "cert", "comp")

TLS: Final = (
    _tls("garbage", "Answers with random bytes", _garbage, _NOT_TLS),
    _tls(
        "http-answer",
        "Answers a hello in HTTP",
        _always(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", stay=False),
        r"the answer begins with \\\"HTTP/1\.1 400 Bad Request",
    ),
    _tls("echo", "Sends every hello back", _echo, "handshake message 1 in place of the ServerHello"),
    _tls("zeros", "Answers with zeros without end", _without_end(bytes(16_384)), _NOT_TLS),
    _tls(
        "flood-requests",
        "Sends HelloRequests without end",
        _without_end(flights.handshake(flights.message(0, b"")) * 1000),
        "messages that mean nothing",
    ),
    _tls(
        "flood-warnings",
        "Sends warnings without end",
        _without_end(flights.alert(112, level=1) * 1000),
        "messages that mean nothing",
    ),
    _tls(
        "empty-records",
        "Sends empty records without end",
        _without_end(flights.record(ContentType.handshake, b"") * 1000),
        "messages that mean nothing",
    ),
    _tls(
        "long-record",
        "Announces a record of 65,535 bytes",
        _always(flights.record(ContentType.handshake, bytes(100), length=0xFFFF)),
        "a record of 65535 bytes",
    ),
    _tls(
        "cut-record",
        "Announces more than it sends, and closes",
        _always(flights.record(ContentType.handshake, bytes(100), length=1000), stay=False),
        "closed after a part of an answer",
    ),
    _tls(
        "half-record",
        "Announces more than it sends, and waits",
        _always(flights.record(ContentType.handshake, bytes(100), length=1000)),
        _NO_ANSWER,
    ),
    _tls(
        "long-message",
        "Announces a handshake message of 16 MB",
        _always(flights.record(ContentType.handshake, flights.message(2, bytes(1000), length=0xFFFFFF))),
        "a handshake message of more than 131072 bytes",
    ),
    _tls("drip", "Sends one byte in each fifth of a second", _drip, _NO_ANSWER),
    _tls(
        "hello-then-silence",
        "Says nothing after its ServerHello",
        _hello_then_silence,
        _NO_ANSWER,
        _SOME,
        *_HELLO_ALONE,
    ),
    _tls("hello-then-reset", "Resets after its ServerHello", _hello_then_reset, _RESET, _SOME, *_HELLO_ALONE),
    _tls(
        "fragments",
        "Sends its first flight in records of one byte, and no more",
        _fragments,
        "wrong certificate type",
        _SOME,
        *_HELLO_ALONE,
    ),
    _tls(
        "wrong-version",
        "Chooses version 9.9",
        _always(flights.handshake(flights.server_hello(_SUITE, version=b"\x09\x09"))),
        r"a ServerHello for version \(9, 9\)",
    ),
    _tls(
        "lying-extensions",
        "Sends extensions that are longer than the message",
        _always(flights.handshake(_LYING_EXTENSIONS)),
        "a message that cannot be read",
    ),
    _tls(
        "other-suite",
        "Chooses a suite that was not offered",
        _other_suite,
        "the server chose suite 0x6B6B, which was not offered",
    ),
    _tls(
        "early-data",
        "Begins with encrypted data",
        _always(flights.record(ContentType.application_data, bytes(64))),
        r"malformed \(it begins with a record of type 23",
    ),
    _tls("ssl2-nonsense", "Answers in broken SSL 2.0", _always(b"\x80\x2e\x04\x09\x09" + bytes(41)), _NOT_TLS),
    _tls(
        "retries",
        "Asks for another hello, without end",
        _retries,
        "the server chose suite 0x1301, which was not offered",
        _SOME,
        *_HELLO_ALONE,
    ),
    _tls("any-answer", "Answers something else each time", _any_answer, _ONE_OF_FOUR, _SOME, *_HELLO_ALONE),
    _tls("alternating", "Refuses every second time what it accepts else", _alternating, _REFUSED, _SOME, *_HELLO_ALONE),
)
