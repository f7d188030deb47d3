"""Servers whose TLS is good, and whose HTTP is meant to break who reads it."""

from __future__ import annotations

import functools
import gzip
import random
from typing import Final

from scanner.lab.hostile.behaviour import Serve, Visit, http

_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
_EMPTY: Final = b"Content-Length: 0\r\n\r\n"


@functools.cache
def bomb() -> bytes:
    """Sixty megabytes in sixty kilobytes. They take a moment to make, for which no client should have to wait."""
    return gzip.compress(b"<p>" * 20_000_000)


def _answering(answer: bytes) -> Serve:
    async def serve(visit: Visit) -> None:
        await visit.hear_request()
        await visit.say(answer)

    return serve


def _without_end(head: bytes, piece: bytes, pause_s: float = 0.002) -> Serve:
    async def serve(visit: Visit) -> None:
        await visit.hear_request()
        await visit.say(head)
        await visit.repeat(piece, pause_s)

    return serve


def _redirecting(location: str) -> Serve:
    return _answering(b"HTTP/1.1 302 Found\r\nLocation: " + location.encode() + b"\r\n" + _EMPTY)


async def _silent(visit: Visit) -> None:
    await visit.silence()


async def _reset(visit: Visit) -> None:
    await visit.hear_request()
    visit.reset()


async def _in_circles(visit: Visit) -> None:
    request = await visit.hear_request()
    onward = b"/b" if request.startswith(b"GET /a") else b"/a"
    await visit.say(b"HTTP/1.1 302 Found\r\nLocation: " + onward + b"\r\n" + _EMPTY)


async def _onward(visit: Visit) -> None:
    await visit.hear_request()
    await visit.say(b"HTTP/1.1 302 Found\r\nLocation: /%d\r\n" % visit.number + _EMPTY)


async def _gzip_bomb(visit: Visit) -> None:
    await visit.hear_request()
    await visit.say(_OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb()) + bomb())


async def _any_answer(visit: Visit) -> None:
    await visit.hear_request()
    chance = random.Random(visit.number)  # noqa: S311  # no secret
    answers = (
        _OK + b"Strict-Transport-Security: max-age=1\r\n" + _EMPTY,
        b"HTTP/1.1 503 Busy\r\n" + _EMPTY,
        b"HTTP/1.1 302 Found\r\nLocation: https://elsewhere.example/\r\n" + _EMPTY,
        b"nonsense\r\n\r\n",
    )
    await visit.say(chance.choice(answers))


_NO_ANSWER: Final = r"timed-out \(no answer in time"
_LARGE_HEAD: Final = r"too-large \(the headers are too large"
_LONG_PAGE: Final = "A page was too long to be read completely"


_ANY_OF_THEM: Final = (
    r'"max-age=1"|Only error pages were seen|"location": "https://elsewhere\.example/"|the answer is not HTTP'
)


def _left_off(end: str) -> str:
    """That a chain of redirects ended so."""
    return rf'"end": "{end}"'


def _to_plain(url: str) -> str:
    """That clients were sent there, where nobody followed."""
    return rf"An HTTPS answer redirects to plain HTTP: \S+ to {url}.*{_left_off('out-of-scope')}"


HTTP: Final = (
    http("silent", "Answers no request", _silent, _NO_ANSWER),
    http("reset", "Resets at every request", _reset, r"reset \(Connection reset by peer"),
    http(
        "garbage", "Answers with bytes that are not HTTP", _answering(bytes(range(256)) * 8), "the answer is not HTTP"
    ),
    http(
        "header-bomb",
        "Sends headers without end",
        _without_end(_OK, (b"X-And-So-On: " + b"y" * 1000 + b"\r\n") * 64),
        _LARGE_HEAD,
    ),
    http(
        "one-header",
        "Sends one header without end",
        _without_end(_OK + b"X: ", b"y" * 16_384),
        _LARGE_HEAD,
    ),
    http(
        "cookie-bomb",
        "Sets cookies without end",
        _without_end(_OK, b"Set-Cookie: a=b\r\n" * 1000),
        _LARGE_HEAD,
    ),
    http("drip", "Sends its headers slowly", _without_end(_OK, b"X-Y: z\r\n", 0.3), _NO_ANSWER),
    http("gzip-bomb", "Sends sixty megabytes in sixty kilobytes", _gzip_bomb, _LONG_PAGE, more=("headers",)),
    http(
        "endless-body",
        "Sends a page without end",
        _without_end(_OK + b"\r\n", b"<p>" * 4096),
        _LONG_PAGE,
        more=("headers",),
    ),
    http(
        "lying-chunks",
        "Announces a chunk of sixteen exabytes",
        _answering(_OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc"),
        "the server closed the connection within the body",
        more=("headers",),
    ),
    http(
        "endless-hints",
        "Sends early hints without end",
        _without_end(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100),
        _LARGE_HEAD,
    ),
    http(
        "redirect-to-file",
        "Sends clients to a file of theirs",
        _redirecting("file:///etc/passwd"),
        _left_off("bad-location"),
    ),
    http(
        "redirect-to-metadata",
        "Sends clients to a cloud's metadata service",
        _redirecting("http://169.254.169.254/latest/meta-data/"),
        _to_plain(r"http://169\.254\.169\.254/latest/meta-data/"),
    ),
    http(
        "redirect-to-private",
        "Sends clients to a private address",
        _redirecting("http://10.0.0.1/"),
        _to_plain(r"http://10\.0\.0\.1/"),
    ),
    http(
        "redirect-to-loopback",
        "Sends clients to themselves",
        _redirecting("http://127.0.0.1:22/"),
        _to_plain(r"http://127\.0\.0\.1:22/"),
    ),
    http("circles", "Redirects in circles", _in_circles, _left_off("loop")),
    http("onward", "Redirects without end", _onward, _left_off("too-many")),
    http(
        "long-location",
        "Redirects to an address of 64 kB",
        _redirecting("/" + "a" * 65_000),
        _left_off("bad-location"),
        more=("headers",),
    ),
    http("any-answer", "Answers something else each time", _any_answer, _ANY_OF_THEM, more=("headers",)),
)
