"""One request, one connection, one response, within bounds of size and time that no server can stretch.

A connection serves a single exchange: what a hostile server did to one cannot reach the next, a body that was cut off
needs no draining, and what is observed does not depend on the order of the questions. What happens in an exchange is
decided in `exchange`; here are the sockets and the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import Awaitable
from typing import Final, TypeVar

from scanner.evidence import Failure, FailureReason
from scanner.inventory import is_address
from scanner.probe import ProbeSettings
from scanner.probe.dns import addresses_of
from scanner.probe.http.connection import Connection, TlsConnection
from scanner.probe.http.exchange import Exchange
from scanner.probe.http.failure import failure_of
from scanner.probe.http.messages import NoResponse, ProtocolError, Request, Response
from scanner.probe.http.proxy import Proxy
from scanner.probe.http.tls import HandshakeNotes, anonymous_context, tolerant_context
from scanner.probe.net.starttls import Link

T = TypeVar("T")
_EXCHANGE_TIMEOUTS: Final = 3
"""An exchange as a whole may take so many timeouts of a single operation: connect, handshake, answer."""
_ROUND_TRIPS: Final = 4
_SHORTEST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 1.0
_LAST_WORD_SECONDS: Final = 2.0
_DEADLINE_SHARE: Final = 0.9


class HttpClient:
    """Exchanges with one target: at most so many at once and a second as the settings allow, all before the deadline.

    `opened` counts the TCP connections.
    """

    def __init__(self, settings: ProbeSettings) -> None:
        self.opened = 0
        self._settings = settings
        self._proxy = Proxy.parse(settings.proxy) if settings.proxy else None
        contact = settings.contact
        self._user_agent = f"{settings.user_agent} (+{contact})" if contact else settings.user_agent
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + max(
            settings.deadline_s * _DEADLINE_SHARE, settings.deadline_s - _LAST_WORD_SECONDS
        )
        self._gate = asyncio.Semaphore(max(1, settings.connections_per_target))
        self._interval = 1 / settings.rate_per_s if settings.rate_per_s else 0.0
        self._next_start = 0.0

    async def send(self, request: Request) -> Response | NoResponse:
        """Send a request and read its response; every failure is a value.

        Where HTTP/2 breaks off, HTTP/1.1 is tried once. What HTTP/2 gave stands if that gives no more.
        """
        async with self._gate:
            exchange = await self._exchange(request)
            first = exchange.result()
            if not exchange.worth_http11:
                return first
            second = (await self._exchange(dataclasses.replace(request, http2=False))).result()
            if exchange.demands_http11 or _tells_more(second, first):
                return _noted(second, f"HTTP/2 broke off: {_failure(first).detail}")
            return first

    async def _exchange(self, request: Request) -> Exchange:
        await self._keep_rate()
        forwarded = self._proxy is not None and self._proxy.speaks_http and request.url.scheme == "http"
        exchange = Exchange(
            request,
            user_agent=self._user_agent,
            max_body_bytes=self._settings.max_body_bytes,
            for_proxy=self._proxy.headers if self._proxy is not None and forwarded else None,
        )
        whole = self._loop.time() + _EXCHANGE_TIMEOUTS * self._settings.timeout_s
        if self._loop.time() >= self._ends:
            exchange.fail(Failure(FailureReason.DEADLINE))
            return exchange
        notes = HandshakeNotes()
        try:
            async with asyncio.timeout_at(min(whole, self._ends)):
                await self._converse(exchange, request, notes)
        except TimeoutError:
            late = self._loop.time() >= self._ends
            reason = FailureReason.DEADLINE if late else FailureReason.TIMED_OUT
            exchange.fail(Failure.of(reason, "no answer in time"))
        except ProtocolError as error:
            exchange.fail(error.failure)
        except Exception as error:  # noqa: BLE001  # a hostile server reaches the code of three libraries; see failure
            exchange.fail(failure_of(error, certificate_requested=notes.certificate_requested))
        if notes.certificate_requested:
            exchange.certificate_was_requested()
        return exchange

    async def _converse(self, exchange: Exchange, request: Request, notes: HandshakeNotes) -> None:
        begun = self._loop.time()
        link = await self._connect(request)
        try:
            wait = min(max(_ROUND_TRIPS * (self._loop.time() - begun), _SHORTEST_WAIT), _LONGEST_WAIT)
            connection = await self._through_proxy(link, request)
            exchange.connection_made()
            protocol = None
            if request.url.scheme == "https":
                connection = TlsConnection(connection, _context(request), request.url.host, notes)
                protocol = await self._bounded(connection.handshake())
            exchange.ready(protocol)
            if notes.certificate_requested:
                await _await_refusal(exchange, connection, wait)
            while not exchange.finished:
                await self._send(exchange, connection)
                exchange.receive(await self._bounded(connection.receive()))
        finally:
            link.close()

    async def _send(self, exchange: Exchange, connection: Connection) -> None:
        """Send what is due. A server that does not take it may have answered all the same: what it said is read."""
        if data := exchange.data_to_send():
            with contextlib.suppress(ConnectionError):
                await self._bounded(connection.send(data))

    async def _connect(self, request: Request) -> Link:
        proxy = self._proxy
        host, port = (proxy.host, proxy.port) if proxy is not None else request.destination
        if not is_address(host):
            found = await self._bounded(addresses_of(host))
            if isinstance(found, Failure):
                raise ProtocolError(found)
            host = found[0]
        self.opened += 1
        return await self._bounded(Link.open(host, port))

    async def _through_proxy(self, link: Link, request: Request) -> Connection:
        if self._proxy is None:
            return link
        connection = await self._bounded(self._proxy.reached(link))
        if request.url.scheme == "https" or not self._proxy.speaks_http:
            await self._bounded(self._proxy.tunnel(connection, request.url.host, request.url.port))
        return connection

    async def _bounded(self, operation: Awaitable[T]) -> T:
        async with asyncio.timeout(self._settings.timeout_s):
            return await operation

    async def _keep_rate(self) -> None:
        if self._interval:
            now = self._loop.time()
            start = max(now, self._next_start)
            self._next_start = start + self._interval
            await asyncio.sleep(min(start, self._ends) - now)


async def _await_refusal(exchange: Exchange, connection: Connection, seconds: float) -> None:
    """Wait for a moment whether the server minds the client certificate, or that there is none.

    In TLS 1.3 the handshake is over for a client before the server has judged its certificate. A request sent then
    meets a closed connection, and the alert that says why is lost with it.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            exchange.receive(await connection.receive())


def _context(request: Request) -> ssl.SSLContext:
    if request.identity is not None:
        return tolerant_context(request.identity, http2=request.http2)
    return anonymous_context(http2=request.http2)


def _failure(outcome: Response | NoResponse) -> Failure:
    failure = outcome.failure if isinstance(outcome, NoResponse) else outcome.incomplete
    return failure or Failure(FailureReason.RESET)


def _tells_more(second: Response | NoResponse, first: Response | NoResponse) -> bool:
    """Whether HTTP/1.1 said more than HTTP/2 that broke off."""
    if isinstance(second, Response):
        return isinstance(first, NoResponse) or second.incomplete is None
    return isinstance(first, NoResponse) and second.failure.reason is FailureReason.CLIENT_CERTIFICATE_REQUIRED


def _noted(outcome: Response | NoResponse, text: str) -> Response | NoResponse:
    if isinstance(outcome, NoResponse):
        return outcome
    return dataclasses.replace(outcome, irregularities=(text, *outcome.irregularities))
