"""Asks a server one hello at a time, and knows when silence or a closed door means no, and when it means "enough".

What to do when a server that answered before begins to refuse, reset or ignore us is decided here; how many connections
there may be, and when, by the target's budget. The survey above asks, and gets an `HelloResult`.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from scanner.counting import counted
from scanner.evidence import Failure, FailureReason
from scanner.inventory import Target
from scanner.probe import TLS_AT_ONCE_PORTS, ProbeSettings
from scanner.probe.http.route import open_to
from scanner.probe.net import plain_http
from scanner.probe.net.budget import Budget, DeadlineError
from scanner.probe.net.connection import PreludeError, TcpStream
from scanner.probe.net.starttls import Names, upgrade
from scanner.probe.survey.flight_reader import FlightReader
from scanner.probe.survey.hello import Offer, to_wire
from scanner.probe.survey.server_flight import HelloResult, Refusal, ServerFlight

T = TypeVar("T")

_PAUSE_SECONDS: Final = 0.5
"""How long a server is left alone after it stopped answering; doubled before the second attempt."""
_ATTEMPTS_AFTER_PAUSE: Final = 2
_LATER_SECONDS: Final = 10.0
"""When a server is asked once more that said that it is not available now,"""
_LATER_SHARE: Final = 0.25
"""but after no more than this part of the time that is left."""

_NO_GREETING: Final = frozenset({FailureReason.TIMED_OUT, FailureReason.RESET, FailureReason.MALFORMED})
"""What a port that speaks TLS at once does to who waits for a greeting, or says something."""

_REASONS: Final = {
    errno.ECONNREFUSED: FailureReason.REFUSED,
    errno.ECONNRESET: FailureReason.RESET,
    errno.EPIPE: FailureReason.RESET,
    errno.ECONNABORTED: FailureReason.RESET,
    errno.ETIMEDOUT: FailureReason.TIMED_OUT,
}


def _kept_to(offer: Offer, outcome: HelloResult) -> HelloResult:
    """The answer; a failure where the server chose what it was not offered, which is no acceptance of anything."""
    if isinstance(outcome, ServerFlight) and not offer.ssl2 and outcome.suite not in offer.suites:
        detail = f"the server chose suite 0x{outcome.suite:04X}, which was not offered"
        return Failure.of(FailureReason.INCONSISTENT, detail)
    return outcome


class HelloClient:
    """Asks one target.

    `opened` counts TCP connections, `heard` those that were answered, yes or no. `slowed` is set where the server
    stopped answering and went on when asked more slowly, `stopped` once it is left alone for good.
    """

    def __init__(self, target: Target, settings: ProbeSettings, budget: Budget) -> None:
        self.opened = 0
        self.heard = 0
        self.slowed = False
        self.stopped: Failure | None = None
        self._target = target
        self._settings = settings
        self._accepted: Offer | None = None
        self._closing_means_no = False
        self._budget = budget
        self._doubting = asyncio.Lock()

    async def first(self, offer: Offer, *, whole: bool = False) -> HelloResult:
        """Ask without knowing anything of the server: a failure is returned as it is.

        A server that says that it is not available now, before TLS was asked for, is asked once more, later. Of a
        `whole` flight that breaks off after the ServerHello, the ServerHello is the answer.
        """
        endpoint = self._target.endpoint
        expected = endpoint.starttls is not None and endpoint.port in TLS_AT_ONCE_PORTS
        if expected and (found := await self._tls_at_once(offer)):
            return found
        outcome = await self._exchange(offer, whole=whole, part_will_do=True)
        silent = isinstance(outcome, Failure) and outcome.reason in _NO_GREETING
        if silent and endpoint.starttls is not None and not expected and (found := await self._tls_at_once(offer)):
            return found
        if isinstance(outcome, Failure) and outcome.reason is FailureReason.UNAVAILABLE:
            self._budget.slow_down(min(_LATER_SECONDS, _LATER_SHARE * self._budget.left))
            again = await self._exchange(offer, whole=whole, part_will_do=True)
            # What the server said is told, not that there was no time for a second answer.
            if not (isinstance(again, Failure) and again.reason is FailureReason.DEADLINE):
                outcome = again
        self._remember(offer, outcome)
        return outcome

    async def _tls_at_once(self, offer: Offer) -> Failure | None:
        """The failure of a port at which TLS begins at once, where STARTTLS is looked for; None where it does not."""
        found = await self._exchange(offer, whole=False, upgraded=False)
        if isinstance(found, Failure):
            return None
        return Failure(FailureReason.TLS_ONLY, "TLS begins at once here, and nothing is said before it")

    @property
    def timeout_s(self) -> float:
        """The seconds that one answer may take."""
        return self._settings.timeout_s

    async def speaks_http(self, host: str) -> bool:
        """Whether the port serves plain HTTP: then it does not wait for TLS."""
        address = self._target.address
        assert address is not None  # noqa: S101  # the survey does not begin without one
        try:
            async with self._budget.connection(), asyncio.timeout(self._budget.bound(self._settings.timeout_s)):
                self.opened += 1
                stream = await open_to(self._settings, address.ip, address.port)
                try:
                    await stream.send(plain_http.question(host))
                    return plain_http.speaks_plain_http(await stream.receive())
                finally:
                    stream.close()
        except (OSError, TimeoutError, DeadlineError, PreludeError):
            return False

    async def ask(self, offer: Offer, *, whole: bool = True) -> HelloResult:
        """Ask, and find out what a failure means.

        A server that closes the connection, while it goes on answering a hello that it accepted before, means no. One
        that stops answering that too is left alone for a while, is asked one question at a time from then on, and is
        given up (`stopped`) if that does not help.
        """
        async with self._doubting:
            pass  # who is in doubt about this server asks alone
        outcome = await self._exchange(offer, whole=whole)
        self._remember(offer, outcome)
        if not isinstance(outcome, Failure) or self._accepted is None or outcome.reason is FailureReason.DEADLINE:
            return outcome
        if outcome is self.stopped:
            return outcome
        async with self._doubting:
            return self.stopped or await self._doubt(offer, outcome, whole=whole)

    async def _doubt(self, offer: Offer, failure: Failure, *, whole: bool) -> HelloResult:
        if not await self._still_answers() and not await self._answers_after_pause():
            self.stopped = self.stopped or Failure.of(
                failure.reason, f"the server stopped answering after {counted(self.heard, 'connection')}"
            )
            return self.stopped
        if failure.reason is FailureReason.RESET and self._closing_means_no:
            return Refusal(None)
        again = await self._exchange(offer, whole=whole, first=True)
        self._remember(offer, again)
        if isinstance(again, Failure) and again.reason is FailureReason.RESET and await self._still_answers():
            self._closing_means_no = True
            return Refusal(None)
        return again

    async def _still_answers(self) -> bool:
        """Whether a hello that was accepted before still is."""
        assert self._accepted is not None  # noqa: S101  # only asked where it is set
        return isinstance(await self._exchange(self._accepted, whole=False, first=True), ServerFlight)

    async def _answers_after_pause(self) -> bool:
        for attempt in range(_ATTEMPTS_AFTER_PAUSE):
            self._budget.slow_down(_PAUSE_SECONDS * 2**attempt)
            if await self._still_answers():
                self.slowed = True
                return True
        return False

    def _remember(self, offer: Offer, outcome: HelloResult) -> None:
        if not isinstance(outcome, Failure):
            self.heard += 1
        # An offer of SSL 2.0 is no witness: it is answered by a part of the server that answers nothing else.
        if self._accepted is None and isinstance(outcome, ServerFlight) and not offer.ssl2:
            self._accepted = offer

    async def _exchange(
        self, offer: Offer, *, whole: bool, first: bool = False, upgraded: bool = True, part_will_do: bool = False
    ) -> HelloResult:
        """Ask once; `first` before all others that wait. `upgraded` is after STARTTLS, where the endpoint has that.

        `part_will_do` takes the ServerHello for the answer where the rest of the flight does not come.
        """
        reading = FlightReader(ssl2=offer.ssl2, whole=whole)

        async def hello(stream: TcpStream) -> HelloResult:
            await stream.send(to_wire(offer))
            while True:
                data = await stream.receive()
                outcome = reading.feed(data) if data else reading.end()
                if outcome is not None:
                    return _kept_to(offer, outcome)

        outcome = await self.converse(hello, first=first, upgraded=upgraded)
        if part_will_do and reading.begun is not None and not isinstance(outcome, ServerFlight):
            return _kept_to(offer, reading.begun)
        return outcome

    async def converse(
        self, talk: Callable[[TcpStream], Awaitable[T]], *, first: bool = False, upgraded: bool = True
    ) -> T | Failure:
        """Open one connection, up to where TLS begins, and talk over it for as long as one answer may take.

        `first` lets it go before all others that wait. Not `upgraded`, it is left as it is opened, in plain text.
        Nothing is opened to a server that is left alone for good.
        """
        try:
            async with self._budget.connection(first=first) as place:
                if self.stopped is not None:
                    place.unused()
                    return self.stopped
                return await self._bounded(talk, upgraded=upgraded)
        except DeadlineError:
            return Failure(FailureReason.DEADLINE)

    async def _bounded(self, talk: Callable[[TcpStream], Awaitable[T]], *, upgraded: bool) -> T | Failure:
        bound = self._budget.bound(self._settings.timeout_s)
        try:
            async with asyncio.timeout(bound):
                return await self._connected(talk, upgraded=upgraded)
        except TimeoutError:
            if bound < self._settings.timeout_s:
                return Failure(FailureReason.DEADLINE)
            return Failure.of(FailureReason.TIMED_OUT, f"no answer within {self._settings.timeout_s:g} s")
        except PreludeError as error:
            return error.failure
        except OSError as error:
            reason = _REASONS.get(error.errno or 0, FailureReason.UNREACHABLE)
            return Failure.of(reason, error.strerror or type(error).__name__)

    async def _connected(self, talk: Callable[[TcpStream], Awaitable[T]], *, upgraded: bool) -> T:
        address = self._target.address
        assert address is not None  # noqa: S101  # the survey does not begin without one
        self.opened += 1
        stream = await open_to(self._settings, address.ip, address.port)
        try:
            endpoint = self._target.endpoint
            if endpoint.starttls is not None and upgraded:
                names = Names(endpoint.host, endpoint.xmpp_domain, self._settings.helo)
                return await talk(await upgrade(stream, endpoint.starttls, names))
            return await talk(stream)
        finally:
            stream.close()
