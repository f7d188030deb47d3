"""Asks, where a policy judges it, whether compressed pages give back what their address says (BREACH).

One request for each page that was answered over HTTPS, at most `_MOST`: with a word of this moment in a parameter that
no application has, and the request to compress.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Final

from scanner.evidence import Attempt, ClientIdentity, Echo, Failure, FailureReason, HttpProbe, Purpose
from scanner.probe.http.client import HttpClient
from scanner.probe.http.headers import text_of, values_of
from scanner.probe.http.messages import NoResponse, Request
from scanner.probe.http.url import Url

BREACH: Final = "vuln.breach"
_MOST: Final = 4
_OK: Final = 200
_HEADERS: Final = (("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("Accept-Encoding", "gzip, deflate"))


def pages_of(probes: Iterable[HttpProbe]) -> tuple[str, ...]:
    """The addresses of pages on this host that were answered over HTTPS, the first few of them."""
    found: dict[str, None] = {}
    for probe in probes:
        asked = probe.scheme == "https" and probe.purpose is not Purpose.INTEGRATION
        if asked and probe.identity is ClientIdentity.NONE and probe.first.method == "GET":
            place = _place(probe.first.url)
            found |= dict.fromkeys(hop.url for hop in probe.hops if hop.status == _OK and _place(hop.url) == place)
    return tuple(found)[:_MOST]


def _place(address: str) -> tuple[str, str, int] | None:
    url = Url.parse(address)
    return (url.scheme, url.host, url.port) if url is not None else None


async def echoes_of(
    client: HttpClient, pages: Iterable[str], destination: tuple[str, int]
) -> Attempt[tuple[Echo, ...]]:
    """What each of the pages makes of a word in its address."""
    found: list[Echo] = []
    for page in pages:
        word = secrets.token_hex(8)
        url = Url.parse(page)
        assert url is not None  # noqa: S101  # it was asked for before
        path, mark, query = url.target.partition("?")
        asked = Url.of(url.scheme, url.host, url.port, f"{path}?{query}{'&' if mark else ''}nightseal={word}")
        answer = await client.send(Request("GET", asked, destination, headers=_HEADERS))
        if isinstance(answer, NoResponse):
            return Attempt.partial(tuple(found), answer.failure)
        coding = ", ".join(text_of(value) for value in values_of(answer.headers, b"content-encoding"))
        echoed = word.encode() in answer.body
        if not echoed and answer.truncated and coding not in {"", "identity"}:
            # What was not read may hold it.
            why = answer.incomplete or Failure.of(FailureReason.TOO_LARGE, f"not all of {page} was read")
            return Attempt.partial(tuple(found), why)
        found.append(Echo(page, "" if coding == "identity" else coding, echoed))
    return Attempt.ok(tuple(found))
