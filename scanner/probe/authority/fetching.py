"""One request to a URL out of a certificate, and its answer written where the caller wants it.

Every URL passes the gate, redirects as well. An exchange as a whole has a time and a size; a server that drips or never
ends is cut off by them. No answer is decoded: what is asked for has no content coding.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from urllib.parse import urljoin

from msgspec import Struct, field

from scanner.evidence import Failure, RevocationFailure
from scanner.inventory import is_address
from scanner.probe import ProbeSettings
from scanner.probe.dns import addresses_of
from scanner.probe.http.connection import Connection
from scanner.probe.http.headers import text_of, values_of
from scanner.probe.http.http1 import Http1
from scanner.probe.http.messages import Body, Head, ProtocolError
from scanner.probe.http.proxy import Proxy
from scanner.probe.net.connection import TcpStream
from scanner.probe.net.gate import Gate, GateError, UnresolvedError, UrlParts
from scanner.untrusted import printable

T = TypeVar("T")
MOST_REQUESTS: Final = 2_000
"""Requests in one run: an estate of thousands has tens of issuers, and a public one some hundred parts of its list."""
MOST_BYTES: Final = 512 << 20
"""Bytes of bodies in one run."""
_REDIRECTS: Final = 2
_REDIRECT: Final = frozenset({301, 302, 303, 307, 308})
_CONNECTIONS: Final = 2
"""Connections at once to one host."""
_AT_ONCE: Final = 16
"""Connections at once to all of them."""
_SILENT: Final = 2
"""After so many failures to reach a host, none of them an answer, it is not tried again in this run."""
_CHUNK: Final = 262_144
_BODILESS: Final = frozenset({"GET", "HEAD"})


class FetchError(Exception):
    """There is no answer; `failure` says why."""

    def __init__(self, failure: RevocationFailure, detail: object = "", *, status: int | None = None) -> None:
        self.failure = failure
        self.detail = printable(str(detail))
        self.status = status
        super().__init__(f"{failure.value}: {self.detail}")


class Allowance(Struct):
    """What is left of a run's requests and bytes. `asked` counts the requests that were made."""

    requests: int = MOST_REQUESTS
    bytes: int = MOST_BYTES
    asked: int = 0

    def request(self) -> None:
        """Take a request.

        Raises:
            FetchError: none is left.
        """
        if self.requests <= 0 or self.bytes <= 0:
            raise FetchError(RevocationFailure.BUDGET, "the run has reached its limit")
        self.requests -= 1
        self.asked += 1


class Question(Struct, frozen=True):
    """What is asked: a GET, or a POST where there is a body. `most_bytes` and `seconds` bound the answer."""

    url: str
    most_bytes: int
    seconds: float
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def method(self) -> str:
        """The method of HTTP."""
        return "POST" if self.body else "GET"


class ResponseHead(Struct, frozen=True):
    """The head of an answer whose body was written: status 200 or, of a conditional request, 304."""

    status: int
    etag: str = ""
    last_modified: str = ""


class _Host(Struct):
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_CONNECTIONS))
    silent: int = 0


class Fetcher:
    """Asks URLs out of certificates, with the manners of one run.

    `settings` gives the timeouts, the proxy and `connect_to`, whose addresses pass the gate like any other.
    """

    def __init__(self, settings: ProbeSettings, gate: Gate, allowance: Allowance) -> None:
        self._settings = settings
        self._gate = gate
        self._allowance = allowance
        self._proxy = Proxy.parse(settings.proxy) if settings.proxy else None
        contact = settings.contact
        self._user_agent = f"{settings.user_agent} (+{contact})" if contact else settings.user_agent
        self._hosts: dict[str, _Host] = defaultdict(_Host)
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def fetch(self, question: Question, write: Callable[[bytes], object]) -> ResponseHead:
        """Ask, and write the body of a 200 as it comes.

        Raises:
            FetchError: there is no whole answer; what was written by then counts for nothing.
        """
        url = question.url
        for _ in range(_REDIRECTS + 1):
            place = self._read(url)
            head = await self._asked(question, place, write)
            if head.status in {200, 304}:
                return ResponseHead(head.status, _header(head, b"etag"), _header(head, b"last-modified"))
            location = _header(head, b"location")
            if head.status not in _REDIRECT or not location:
                raise FetchError(RevocationFailure.UNREACHABLE, f"HTTP status {head.status}", status=head.status)
            url = urljoin(url, location)
        raise FetchError(RevocationFailure.UNREACHABLE, f"more than {_REDIRECTS} redirects")

    def _read(self, url: str) -> UrlParts:
        try:
            return self._gate.read(url)
        except GateError as error:
            raise FetchError(RevocationFailure.REFUSED_BY_GATE, error) from error

    async def _asked(self, question: Question, place: UrlParts, write: Callable[[bytes], object]) -> Head:
        host = self._hosts[place.authority]
        async with host.places, self._places:
            if host.silent >= _SILENT:
                raise FetchError(RevocationFailure.UNREACHABLE, "the host gave no answer before")
            self._allowance.request()
            try:
                async with asyncio.timeout(question.seconds):
                    head = await self._exchange(question, place, write)
            except TimeoutError:
                host.silent += 1
                raise FetchError(RevocationFailure.UNREACHABLE, "no whole answer in time") from None
            except OSError as error:
                host.silent += 1
                raise FetchError(RevocationFailure.UNREACHABLE, error.strerror or type(error).__name__) from error
            except ProtocolError as error:
                text = error.failure.detail or error.failure.reason.value
                raise FetchError(RevocationFailure.UNREACHABLE, text) from error
            except GateError as error:
                if isinstance(error, UnresolvedError):
                    host.silent += 1
                    raise FetchError(RevocationFailure.UNREACHABLE, error) from error
                raise FetchError(RevocationFailure.REFUSED_BY_GATE, error) from error
            host.silent = 0
            return head

    async def _exchange(self, question: Question, place: UrlParts, write: Callable[[bytes], object]) -> Head:
        link, connection, target, headers = await self._open(place)
        try:
            length = () if question.method in _BODILESS else (("Content-Length", str(len(question.body))),)
            sent = (
                ("Host", place.authority),
                ("User-Agent", self._user_agent),
                ("Accept-Encoding", "identity"),
                ("Connection", "close"),
                *question.headers,
                *length,
                *headers,
            )
            machine = Http1(question.method, target, sent, question.body)
            await connection.send(machine.data_to_send())
            return await self._answer(machine, connection, question, write)
        finally:
            link.close()

    async def _answer(
        self, machine: Http1, connection: Connection, question: Question, write: Callable[[bytes], object]
    ) -> Head:
        head: Head | None = None
        size = 0
        while True:
            data = await (connection.receive(_CHUNK) if isinstance(connection, TcpStream) else connection.receive())
            for event in machine.receive(data):
                if isinstance(event, Head):
                    head = event
                    if not event.whole or values_of(event.headers, b"content-encoding"):
                        raise FetchError(
                            RevocationFailure.MALFORMED, "the answer is in a coding that was not asked for"
                        )
                    if event.status != 200:  # noqa: PLR2004  # nothing else has a body that is read
                        return event
                elif isinstance(event, Body):
                    size += len(event.data)
                    self._allowance.bytes -= len(event.data)
                    if size > question.most_bytes:
                        raise FetchError(RevocationFailure.TOO_LARGE, f"more than {question.most_bytes} bytes")
                    if self._allowance.bytes < 0:
                        raise FetchError(RevocationFailure.BUDGET, "the run has reached its limit of bytes")
                    write(event.data)
                elif head is not None:
                    return head

    async def _open(self, place: UrlParts) -> tuple[TcpStream, Connection, str, tuple[tuple[str, str], ...]]:
        """A connection, what to speak over, the target of the request, and headers for a proxy.

        Through a proxy nobody here knows the address that a name leads to: only literal ones are judged.
        """
        proxy = self._proxy
        if proxy is None:
            ip, port = await self._address(place)
            link = await self._bounded(TcpStream.open(ip, port))
            return link, link, place.target, ()
        if is_address(place.host):
            self._gate.judge(place.host)
        addresses = (proxy.host,) if is_address(proxy.host) else await self._bounded(addresses_of(proxy.host))
        if isinstance(addresses, Failure):
            raise OSError(0, "the proxy cannot be reached")
        link = await self._bounded(TcpStream.open(addresses[0], proxy.port))
        connection = await self._bounded(proxy.reached(link))
        if proxy.speaks_http:
            return link, connection, f"http://{place.authority}{place.target}", proxy.headers
        await self._bounded(proxy.tunnel(connection, place.host, place.port))
        return link, connection, place.target, ()

    async def _address(self, place: UrlParts) -> tuple[str, int]:
        shown = f"[{place.host}]" if ":" in place.host else place.host
        mapped = self._settings.connect_to.get(f"{shown}:{place.port}")
        if mapped:
            ip, _, port = mapped[0].rpartition(":")
            self._gate.judge(ip.strip("[]"), place.host)
            return ip.strip("[]"), int(port)
        return await self._bounded(self._gate.address_of(place.host, self._resolved)), place.port

    async def _resolved(self, host: str) -> tuple[str, ...] | Failure:
        return await addresses_of(host, self._settings.resolver)

    async def _bounded(self, operation: Awaitable[T]) -> T:
        async with asyncio.timeout(self._settings.timeout_s):
            return await operation


def _header(head: Head, name: bytes) -> str:
    values = values_of(head.headers, name)
    return text_of(values[0]) if values else ""
