"""One request, one connection, one answer, within bounds of size and time that no server can stretch.

A connection serves a single exchange: what a hostile server did to one cannot reach the next, a body that was cut off
needs no draining, and what is observed does not depend on the order of the questions.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import httpcore

from scanner.evidence import Failure, FailureReason
from scanner.inventory import ClientCertificate, is_address
from scanner.probe import ProbeSettings
from scanner.probe.http.failure import OneConnectionError, TooMuchError, failure_of, wants_http11
from scanner.probe.http.headers import Headers, values_of
from scanner.probe.http.stream import TcpStream, TlsStream
from scanner.probe.http.tls import Noticed, anonymous_context, tolerant_context, watched_client
from scanner.probe.http.url import Url

_EXCHANGE_TIMEOUTS: Final = 3
"""An exchange as a whole may take so many timeouts of a single operation: connect, handshake, answer."""
_HEAD_BYTES: Final = 262_144
_FRAMING: Final = 2
"""A server may send so many bytes besides the body, and so many times the longest body: chunks have their framing."""
_TLS_RECORDS: Final = (b"\x15\x03", b"\x16\x03")
"""How an alert and a handshake record begin (RFC 8446 section 5.1)."""
_ROUND_TRIPS: Final = 4
_SHORTEST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_EARLY_BYTES: Final = 65_536
_STATUSES: Final = range(100, 1000)
_BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_PROXY_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_LAST_WORD_SECONDS: Final = 2.0
_DEADLINE_SHARE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `destination` is the address and port to connect to, whatever the URL says."""

    method: str
    url: Url
    destination: tuple[str, int]
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    identity: ClientCertificate | None = None
    http2: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `truncated`: the body is not the whole: too long, too slow, broken off, or in another coding."""

    status: int
    http_version: str
    headers: Headers
    body: bytes
    truncated: bool


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why nothing came back; `connected` tells whether the connection had been made by then."""

    failure: Failure
    connected: bool


class Wire:
    """Exchanges with one target: at most so many at once and a second as the settings allow, all before the deadline.

    `opened` counts the TCP connections.
    """

    def __init__(self, settings: ProbeSettings) -> None:
        self.opened = 0
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + max(
            settings.deadline_s * _DEADLINE_SHARE, settings.deadline_s - _LAST_WORD_SECONDS
        )
        self._gate = asyncio.Semaphore(max(1, settings.connections_per_target))
        self._interval = 1 / settings.rate_per_s if settings.rate_per_s else 0.0
        self._next_start = 0.0

    async def exchange(self, request: Request) -> Answer | NoAnswer:
        """Send a request and read its answer; every failure is a value."""
        async with self._gate:
            outcome, exchange = await self._once(request)
            if exchange.wants_http11:
                outcome, _ = await self._once(dataclasses.replace(request, http2=False))
            return outcome

    async def _once(self, request: Request) -> tuple[Answer | NoAnswer, _Exchange]:
        await self._keep_rate()
        exchange = _Exchange(request, self._settings, self._ends)
        outcome = await exchange.run()
        self.opened += exchange.opened
        return outcome, exchange

    async def _keep_rate(self) -> None:
        if self._interval:
            now = self._loop.time()
            start = max(now, self._next_start)
            self._next_start = start + self._interval
            await asyncio.sleep(min(start, self._ends) - now)


@dataclass
class _Exchange:
    """The state of one exchange."""

    request: Request
    settings: ProbeSettings
    ends: float
    opened: int = 0
    connected: bool = False
    noticed: Noticed = field(default_factory=Noticed)
    wants_http11: bool = False
    head: httpcore.Response | None = None
    body: bytearray = field(default_factory=bytearray)
    second_thoughts: float = 0.0
    allowance: int = 0
    begins_with: bytes = b""

    def __post_init__(self) -> None:
        self.allowance = _HEAD_BYTES + _FRAMING * self.settings.max_body_bytes

    async def run(self) -> Answer | NoAnswer:
        now = asyncio.get_running_loop().time()
        whole = now + _EXCHANGE_TIMEOUTS * self.settings.timeout_s
        if now >= self.ends:
            return NoAnswer(Failure(FailureReason.DEADLINE), connected=False)
        try:
            async with asyncio.timeout_at(min(whole, self.ends)):
                complete = await self._converse()
        except TimeoutError:
            if self.head is None:
                late = self.ends < whole
                reason = FailureReason.DEADLINE if late else FailureReason.TIMED_OUT
                return NoAnswer(Failure.of(reason, "no answer in time"), self.connected)
            complete = False
        except Exception as error:  # noqa: BLE001  # a hostile server reaches the code of four libraries; see http_failure
            if self.head is None:
                if self.begins_with.startswith(_TLS_RECORDS) and self.request.url.scheme == "http":
                    failure = Failure.of(FailureReason.TLS_ONLY, "the port answers plain HTTP with TLS")
                    return NoAnswer(failure, self.connected)
                self.wants_http11 = self.request.http2 and wants_http11(error)
                return NoAnswer(failure_of(error, certificate_asked=self.noticed.certificate_asked), self.connected)
            complete = False
        if self.head is not None and self.head.status not in _STATUSES:
            return NoAnswer(Failure.of(FailureReason.MALFORMED, f"status {self.head.status}"), self.connected)
        return self._answer(self.head, complete=complete)

    async def _converse(self) -> bool:
        """Ask and read; true where the body was read to its end."""
        request, seconds = self.request, self.settings.timeout_s
        async with (
            self._pool() as pool,
            pool.stream(
                request.method,
                httpcore.URL(
                    scheme=request.url.scheme.encode(),
                    host=request.url.host.encode(),
                    port=None if request.url.has_default_port else request.url.port,
                    target=request.url.target.encode(),
                ),
                headers=self._headers(),
                content=request.body or None,
                extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)},
            ) as response,
        ):
            self.head = response
            async for chunk in response.aiter_stream():
                self.body += chunk
                if len(self.body) > self.settings.max_body_bytes:
                    return False
        return True

    def _pool(self) -> httpcore.AsyncConnectionPool:
        proxy, tls = self.settings.proxy, self.request.url.scheme == "https"
        return httpcore.AsyncConnectionPool(
            ssl_context=self._context() if tls else None,
            proxy=_proxy(proxy) if proxy else None,
            max_connections=1,
            http2=self.request.http2,
            network_backend=_Backend(self, None if proxy else self.request.destination),
        )

    def _context(self) -> ssl.SSLContext:
        request = self.request
        return tolerant_context(request.identity) if request.identity else anonymous_context(http2=request.http2)

    def _headers(self) -> list[tuple[str, str]]:
        settings, request = self.settings, self.request
        agent = f"{settings.user_agent} (+{settings.contact})" if settings.contact else settings.user_agent
        length = () if request.method in _BODILESS else (("Content-Length", str(len(request.body))),)
        return [
            ("Host", request.url.authority),
            ("User-Agent", agent),
            ("Accept-Encoding", "identity"),
            *request.headers,
            *length,
        ]

    def _answer(self, head: httpcore.Response | None, *, complete: bool) -> Answer:
        assert head is not None  # noqa: S101  # only called where there is one
        limit = self.settings.max_body_bytes
        body, whole = decoded(bytes(self.body[:limit]), values_of(head.headers, b"content-encoding"), limit)
        version = head.extensions.get("http_version", b"")
        return Answer(
            head.status,
            version.decode("ascii", "replace") if isinstance(version, bytes) else "",
            tuple(head.headers),
            body,
            truncated=not (complete and whole),
        )


def decoded(body: bytes, codings: Iterable[bytes], limit: int) -> tuple[bytes, bool]:
    """Undo a content coding that was not asked for, to at most `limit` bytes; tells whether all of it was undone.

    A coding that is not known here leaves nothing to read.
    """
    names = [name for value in codings for part in value.split(b",") if (name := part.strip().lower())]
    names = [name for name in names if name != b"identity"]
    if not names:
        return body, True
    if len(names) > 1 or names[0] not in {b"gzip", b"x-gzip", b"deflate"}:
        return b"", False
    # 32 reads the headers of gzip and zlib alike; the second attempt is for servers that send deflate without any.
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        stream = zlib.decompressobj(window)
        try:
            text = stream.decompress(body, limit)
        except zlib.error:
            continue
        return text, stream.eof and not stream.unconsumed_tail
    return b"", False


def _proxy(url: str) -> httpcore.Proxy:
    parts = urlsplit(url)
    auth = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    host, port = (parts.hostname or "").encode(), parts.port or _PROXY_PORTS.get(parts.scheme)
    return httpcore.Proxy(httpcore.URL(scheme=parts.scheme.encode(), host=host, port=port, target=b"/"), auth)


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects where it is told to, whatever the URL names, and no more than once."""

    def __init__(self, exchange: _Exchange, destination: tuple[str, int] | None) -> None:
        self._exchange = exchange
        self._destination = destination
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        if self._exchange.opened:
            raise OneConnectionError
        self._exchange.opened += 1
        host, port = self._destination or (host, port)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        stream: httpcore.AsyncNetworkStream
        if is_address(host):
            stream = await TcpStream.open(host, port, timeout)
        else:
            stream = await self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        self._exchange.connected = True
        pause = _ROUND_TRIPS * (loop.time() - begun)
        self._exchange.second_thoughts = min(max(pause, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        return _Stream(stream, self._exchange)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection from which no more is read than an exchange allows."""

    def __init__(self, inner: httpcore.AsyncNetworkStream, exchange: _Exchange) -> None:
        self._inner = inner
        self._exchange = exchange
        self._early = b""

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
    ) -> bytes:
        if self._early:
            data, self._early = self._early, b""
            return data
        data = await self._inner.read(max_bytes, timeout)
        self._exchange.begins_with = self._exchange.begins_with or data[:2]
        self._exchange.allowance -= len(data)
        if self._exchange.allowance < 0:
            raise TooMuchError
        return data

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
    ) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # the signature is httpcore's
    ) -> httpcore.AsyncNetworkStream:
        noticed = self._exchange.noticed
        tls = await TlsStream.over(
            self._inner,
            lambda incoming, outgoing: watched_client(ssl_context, incoming, outgoing, server_hostname, noticed),
            timeout,
        )
        secured = _Stream(tls, self._exchange)
        if self._exchange.noticed.certificate_asked:
            await secured.hear_out()
        return secured

    async def hear_out(self) -> None:
        """Wait for a moment whether the server minds the client certificate, or that there is none.

        In TLS 1.3 the handshake is over for a client before the server has judged its certificate. A request sent
        then meets a closed connection, and the alert that says why is lost with it.
        """
        with contextlib.suppress(httpcore.ReadTimeout):
            self._early = await self.read(_EARLY_BYTES, self._exchange.second_thoughts)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
