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

from msgspec import structs

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
from scanner.probe.net.budget import Budget, DeadlineError
from scanner.probe.net.connection import TcpStream
from scanner.probe.net.gate import Gate, GateError, UnresolvedError

T = TypeVar("T")
_EXCHANGE_TIMEOUTS: Final = 3
"""An exchange as a whole may take so many timeouts of a single operation: connect, handshake, answer."""
_ROUND_TRIPS: Final = 4
_SHORTEST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 1.0
_TURNED_AWAY: Final = frozenset(
    {FailureReason.REFUSED, FailureReason.RESET, FailureReason.TIMED_OUT, FailureReason.UNREACHABLE}
)
_PAUSE_SECONDS: Final = 1.0
"""How long an address is left alone once it takes no more connections."""


class HttpClient:
    """Exchanges with one target, as many and as fast as its budget allows. `opened` counts the TCP connections.

    `gate` judges the addresses of names, which stand in redirects.
    """

    def __init__(self, settings: ProbeSettings, budget: Budget, gate: Gate) -> None:
        self.opened = 0
        self._settings = settings
        self._budget = budget
        self._gate = gate
        self._proxy = Proxy.parse(settings.proxy) if settings.proxy else None
        self._loop = asyncio.get_running_loop()
        self._took: set[tuple[str, int]] = set()
        self._stopped: dict[tuple[str, int], Failure] = {}
        self._doubting = asyncio.Lock()

    async def send(self, request: Request) -> Response | NoResponse:
        """Send a request and read its response; every failure is a value.

        Where HTTP/2 breaks off, HTTP/1.1 is tried once. What HTTP/2 gave stands if that gives no more. A port that has
        taken connections, and takes no more of them, is left alone for a while and tried once more: that it refuses
        then says nothing of the path that was asked for.
        """
        exchange = await self._asked(request)
        first = exchange.result()
        if not exchange.worth_http11:
            return first
        second = (await self._asked(dataclasses.replace(request, http2=False))).result()
        if exchange.demands_http11 or _tells_more(second, first):
            return _noted(second, f"HTTP/2 failed: {_failure(first).detail}")
        return first

    async def _asked(self, request: Request) -> Exchange:
        """Make an exchange, and find out what it means where no connection came about."""
        destination = request.destination
        if failure := self._stopped.get(destination):
            return self._unasked(request, failure)
        exchange = await self._exchange(request)
        if exchange.connected:
            self._took.add(destination)
        if exchange.connected or destination not in self._took or _reason(exchange) not in _TURNED_AWAY:
            return exchange
        async with self._doubting:
            if failure := self._stopped.get(destination):
                return self._unasked(request, failure)
            self._budget.slow_down(_PAUSE_SECONDS)
            again = await self._exchange(request, first=True)
            if _reason(again) in _TURNED_AWAY and not again.connected:
                why = f"the port accepted no more connections: {_reason(again)}"
                failure = self._stopped[destination] = Failure.of(FailureReason.UNAVAILABLE, why)
                return self._unasked(request, failure)
            return again

    def _unasked(self, request: Request, failure: Failure) -> Exchange:
        exchange = self._new(request)
        exchange.fail(failure)
        return exchange

    def _new(self, request: Request) -> Exchange:
        forwarded = self._proxy is not None and self._proxy.speaks_http and request.url.scheme == "http"
        return Exchange(
            request,
            user_agent=self._settings.agent,
            max_body_bytes=self._settings.max_body_bytes,
            headers=self._settings.headers,
            for_proxy=self._proxy.headers if self._proxy is not None and forwarded else None,
        )

    async def _exchange(self, request: Request, *, first: bool = False) -> Exchange:
        exchange, notes = self._new(request), HandshakeNotes()
        try:
            ip, port = await self._address(request)
            # What a proxy is asked for is the target's to bear.
            async with self._budget.connection(ip if self._proxy is None else None, first=first) as place:
                if failure := self._stopped.get(request.destination):  # while this one waited
                    place.unused()
                    exchange.fail(failure)
                    return exchange
                self.opened += 1
                async with asyncio.timeout(self._budget.bound(_EXCHANGE_TIMEOUTS * self._settings.timeout_s)):
                    await self._converse(exchange, request, (ip, port), notes)
        except DeadlineError:
            exchange.fail(Failure.of(FailureReason.DEADLINE, "not asked: no time was left"))
        except TimeoutError:
            exchange.fail(self._late(reached=exchange.connected))
        except ProtocolError as error:
            exchange.fail(error.failure)
        except Exception as error:  # noqa: BLE001  # a hostile server reaches the code of three libraries; see failure
            exchange.fail(failure_of(error, certificate_requested=notes.certificate_requested))
        if notes.certificate_requested:
            exchange.certificate_was_requested()
        return exchange

    def _late(self, *, reached: bool) -> Failure:
        """Whose fault it is that there was no answer in time."""
        if self._budget.left <= 0:
            return Failure.of(FailureReason.DEADLINE, "no answer in time")
        if self._proxy is not None and not reached:
            return self._proxy.unreachable(TimeoutError())
        return Failure.of(FailureReason.TIMED_OUT, "no answer in time")

    async def _converse(
        self, exchange: Exchange, request: Request, address: tuple[str, int], notes: HandshakeNotes
    ) -> None:
        begun = self._loop.time()
        stream = await self._open(address)
        try:
            wait = min(max(_ROUND_TRIPS * (self._loop.time() - begun), _SHORTEST_WAIT), _LONGEST_WAIT)
            connection = await self._through_proxy(stream, request)
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
            stream.close()

    async def _send(self, exchange: Exchange, connection: Connection) -> None:
        """Send what is due. A server that does not take it may have answered all the same: what it said is read."""
        if data := exchange.data_to_send():
            with contextlib.suppress(ConnectionError):
                await self._bounded(connection.send(data))

    async def _resolved(self, host: str) -> tuple[str, ...] | Failure:
        return await addresses_of(host, self._settings.resolver)

    async def _address(self, request: Request) -> tuple[str, int]:
        """Where to connect: to the destination, or to the proxy that will.

        Raises:
            ProtocolError: the name gives no address, or one that a redirect may not lead to.
        """
        proxy = self._proxy
        host, port = (proxy.host, proxy.port) if proxy is not None else request.destination
        if is_address(host):  # the configuration's own, or what its names gave at the start of the run
            return host, port
        gate = self._gate if proxy is None else Gate.of([host])
        try:
            return await self._bounded(gate.address_of(host, self._resolved)), port
        except UnresolvedError as error:
            raise ProtocolError(error.failure if proxy is None else proxy.unreachable(error.failure)) from error
        except GateError as error:
            raise ProtocolError(Failure.of(FailureReason.NOT_ASKED, error)) from error

    async def _open(self, address: tuple[str, int]) -> TcpStream:
        if self._proxy is None:
            return await self._bounded(TcpStream.open(*address, self._settings.source_address))
        try:
            return await self._bounded(TcpStream.open(*address, self._settings.source_address))
        except OSError as error:
            raise ProtocolError(self._proxy.unreachable(error)) from error

    async def _through_proxy(self, stream: TcpStream, request: Request) -> Connection:
        """What to speak to the server over.

        Raises:
            ProtocolError: the proxy fails, which tells nothing of the server, or does not connect to it.
        """
        if self._proxy is None:
            return stream
        try:
            connection = await self._bounded(self._proxy.reached(stream))
            if request.url.scheme == "https" or not self._proxy.speaks_http:
                await self._bounded(self._proxy.tunnel(connection, request.url.host, request.url.port))
        except OSError as error:
            raise ProtocolError(self._proxy.unreachable(error)) from error
        return connection

    async def _bounded(self, operation: Awaitable[T]) -> T:
        async with asyncio.timeout(self._settings.timeout_s):
            return await operation


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


def _reason(exchange: Exchange) -> FailureReason:
    return _failure(exchange.result()).reason


def _tells_more(second: Response | NoResponse, first: Response | NoResponse) -> bool:
    """Whether HTTP/1.1 said more than HTTP/2 that broke off."""
    if isinstance(second, Response):
        return isinstance(first, NoResponse) or second.incomplete is None
    return isinstance(first, NoResponse) and second.failure.reason is FailureReason.CLIENT_CERTIFICATE_REQUIRED


def _noted(outcome: Response | NoResponse, text: str) -> Response | NoResponse:
    if isinstance(outcome, NoResponse):
        return outcome
    return structs.replace(outcome, irregularities=(text, *outcome.irregularities))
