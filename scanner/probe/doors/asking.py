"""Asks about HTTPS records, about HTTP/3 where it is advertised, and whether a host is preloaded.

QUIC is spoken only where an answer over HTTPS or a record advertises it for the host itself, twice, because what is
told is what both connections showed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scanner.evidence import Attempt, Failure, FailureReason, FrontDoors, Http3, HttpsRecord, Preloading, not_run
from scanner.inventory import Target
from scanner.probe import ProbeSettings
from scanner.probe.caa import is_public
from scanner.probe.doors.preload import preloading_of
from scanner.probe.doors.probe import ECH, HTTP3, LISTED
from scanner.probe.doors.quic import QuicAnswer, ask
from scanner.probe.doors.records import http3_in_header, http3_in_records, https_records_of
from scanner.probe.http.client import HttpClient
from scanner.probe.http.headers import text_of, values_of
from scanner.probe.http.messages import NoResponse, Request
from scanner.probe.http.url import Url
from scanner.probe.net.budget import Budget, DeadlineError
from scanner.probe.net.gate import Gate

_ROUNDS: Final = 3
"""A handshake and an answer may take so many timeouts of a single operation."""
_Records = Attempt[tuple[HttpsRecord, ...]]


@dataclass(frozen=True, slots=True)
class Doors:
    """The questions about one target's other doors. `asked` are the rules that judge them."""

    target: Target
    settings: ProbeSettings
    budget: Budget
    asked: frozenset[str]

    async def look(self) -> FrontDoors:
        """Ask what those rules judge."""
        records = await self._records() if {ECH, HTTP3} & self.asked else not_run()
        http3 = await self._http3(records) if HTTP3 in self.asked else not_run()
        return FrontDoors(records, http3, self._preloading() if LISTED in self.asked else not_run())

    async def _records(self) -> _Records:
        target, settings = self.target, self.settings
        host = target.endpoint.host
        if target.endpoint.is_address:
            return Attempt.failed(FailureReason.UNSUPPORTED, "an IP address has no HTTPS records")
        if settings.proxy is not None:
            detail = "a proxy cannot carry DNS queries, and none is sent past it"
            return Attempt.failed(FailureReason.NOT_ASKED, detail)
        if settings.resolver is None and (target.endpoint.address in settings.connect_to or not is_public(host)):
            return Attempt.failed(FailureReason.UNSUPPORTED, "a name that the public DNS does not answer for")
        server = settings.resolver or settings.validating_resolver
        return await https_records_of(host, target.endpoint.port, server, settings.timeout_s)

    def _preloading(self) -> Attempt[Preloading]:
        if self.target.endpoint.is_address:
            return Attempt.failed(FailureReason.UNSUPPORTED, "an IP address is on no list")
        return preloading_of(self.target.endpoint.host)

    async def _http3(self, records: _Records) -> Attempt[Http3]:
        endpoint = self.target.endpoint
        if self.settings.proxy is not None:
            return Attempt.failed(FailureReason.NOT_ASKED, "a proxy cannot carry QUIC, and none is sent past it")
        header = await self._alternatives()
        if isinstance(header, Failure):
            return Attempt(failure=header)
        ports = {
            "alt-svc": http3_in_header(header, endpoint.host),
            "https-record": http3_in_records(records.value or (), endpoint.host, endpoint.port),
        }
        advertised = {name: port for name, port in ports.items() if port is not None}
        if not advertised:
            if records.value is None and records.failure is not None and not _no_records(records.failure):
                return Attempt(failure=records.failure)
            return Attempt.ok(Http3())
        return await self._confirmed(tuple(advertised), next(iter(advertised.values())))

    async def _confirmed(self, advertised: tuple[str, ...], port: int) -> Attempt[Http3]:
        """What two connections show alike."""
        found = [await self._over_quic(port) for _ in range(2)]
        failure = next((item for item in found if isinstance(item, Failure)), None)
        if failure is not None:
            return Attempt(failure=Failure(failure.reason, f"{', '.join(advertised)} advertises it: {failure}"))
        first, second = found
        if first != second:
            return Attempt.failed(FailureReason.INCONSISTENT, "two connections over QUIC showed different things")
        assert isinstance(first, QuicAnswer)  # noqa: S101  # no failure, as was seen above
        return Attempt.ok(Http3(advertised, port, first.status, first.certificate, first.hsts))

    async def _alternatives(self) -> tuple[str, ...] | Failure:
        """The Alt-Svc headers of the answer to "/" over HTTPS."""
        endpoint, address = self.target.endpoint, self.target.address
        assert address is not None  # noqa: S101  # seen by whoever calls
        client = HttpClient(self.settings, self.budget, Gate.of((*self.settings.fetch_from, address.ip)))
        url = Url.of("https", endpoint.host, endpoint.port, "/")
        answer = await client.send(Request("GET", url, (address.ip, address.port)))
        if isinstance(answer, NoResponse):
            return answer.failure
        values = tuple(text_of(value) for value in values_of(answer.headers, b"alt-svc"))
        return answer.incomplete or Failure(FailureReason.RESET) if answer.headers_cut and not values else values

    async def _over_quic(self, port: int) -> QuicAnswer | Failure:
        endpoint, address, settings = self.target.endpoint, self.target.address, self.settings
        assert address is not None  # noqa: S101  # seen by whoever calls
        url = Url.of("https", endpoint.host, endpoint.port, "/")
        # The port that users have may be another one at the address that is asked in its place.
        actual = address.port if port == endpoint.port else port
        try:
            async with self.budget.connection():
                return await ask(
                    (address.ip, actual),
                    endpoint.host,
                    url.authority,
                    user_agent=settings.agent,
                    seconds=self.budget.bound(_ROUNDS * settings.timeout_s),
                    source=settings.source_address,
                    named=not endpoint.is_address,
                )
        except DeadlineError:
            return Failure(FailureReason.DEADLINE)


def _no_records(failure: Failure) -> bool:
    """Whether there can be no records at all, which is an answer."""
    return failure.reason in {FailureReason.UNSUPPORTED, FailureReason.NOT_ASKED}
