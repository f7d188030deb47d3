"""From names to addresses, and the CAA records of a name.

Names are resolved by the system's resolver, which knows /etc/hosts and internal names; what it can't be asked
(CAA records, signatures) by dnspython.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar, cast

from msgspec import Struct

from scanner.evidence import Attempt, DnsEvidence, Dnssec, Failure, FailureReason
from scanner.inventory import Address, Endpoint, Environment, Target
from scanner.probe import ProbeSettings
from scanner.probe.caa import CaaLookups, is_public
from scanner.probe.dnssec import dnssec_of
from scanner.probe.nameservers import AddressMode, addresses_at
from scanner.probe.net.budget import Budget

T = TypeVar("T")
_RESOLVER_S = 5.0
"""Seconds for a chosen name server where nobody bounds it."""
Answer = tuple[str, ...] | Failure
"""The addresses of a name, or why there are none."""
_MAX_ADDRESSES = 64
# Not every platform has both.
_OTHER_FAMILY = {getattr(socket, name, None) for name in ("EAI_NODATA", "EAI_ADDRFAMILY")}
"""What a resolver says of a name that has addresses, and none of the family that was asked for."""
NO_RESOLVER: Final = "[scan] validating_resolver names none that checks signatures"


class Resolved(Struct, frozen=True):
    """A target, or the reason why its name gave none."""

    target: Target
    failure: Failure | None = None


async def look_up(host: str, mode: AddressMode, timeout_s: float, server: str | None = None) -> Answer:
    """The addresses of a name, or why there are none, within so many seconds.

    `server` is a name server to ask instead of the system's resolver.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _found(host, mode, server, timeout_s)
    except TimeoutError:
        return Failure.of(FailureReason.RESOLVER_FAILED, f"the resolver gave no answer within {timeout_s:g} s")


async def _found(host: str, mode: AddressMode, server: str | None = None, timeout_s: float = _RESOLVER_S) -> Answer:
    if server is not None:
        told = await addresses_at(server, host, mode, timeout_s)
        return told if isinstance(told, Failure) else told[: 1 if mode == "first" else _MAX_ADDRESSES]
    family = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}.get(mode, socket.AF_UNSPEC)
    try:
        found = await _in_daemon(lambda: socket.getaddrinfo(host, None, family, socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        if isinstance(error, TimeoutError):
            raise
        detail = error.strerror if isinstance(error, OSError) and error.strerror else error
        if family and isinstance(error, socket.gaierror) and error.errno in _OTHER_FAMILY:
            return Failure.of(FailureReason.NOT_RUN, f"it has no {mode} address")
        # Only the DNS itself can say that there is no such name.
        failed = isinstance(error, socket.gaierror) and error.errno in {socket.EAI_AGAIN, socket.EAI_FAIL}
        return Failure.of(FailureReason.RESOLVER_FAILED if failed else FailureReason.UNRESOLVABLE, detail)
    addresses = tuple(dict.fromkeys(str(item[4][0]) for item in found))[:_MAX_ADDRESSES]
    return addresses[:1] if mode == "first" else addresses


async def addresses_of(host: str, server: str | None = None) -> tuple[str, ...] | Failure:
    """The addresses of a name, as the system's resolver has them, or `server`; the caller bounds the time."""
    return await _found(host, "all", server)


async def _in_daemon(call: Callable[[], T]) -> T:
    """Await a call that can't be interrupted, in a thread for which neither loop nor process waits at its end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast("T", value))

    def work() -> None:
        value, error = None, None
        try:
            value = call()
        except Exception as raised:  # noqa: BLE001  # it is raised again where it is awaited
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=work, name="resolve", daemon=True).start()
    return await future


def targets_of(
    endpoint: Endpoint, answer: Answer, connect_to: Mapping[str, Sequence[str]], mode: AddressMode
) -> list[Resolved]:
    """The targets of an endpoint whose name has these addresses.

    `connect_to` maps "host:port" to "ip:port" entries that are used instead of the DNS. A name without an address gives
    one target without one, and so does an endpoint of which it is unknown which host is meant (`unresolved`).
    """
    mapped = connect_to.get(endpoint.address)
    if mapped is not None and not endpoint.unresolved:
        plain = connect_to.get(f"{endpoint.address.rpartition(':')[0]}:{endpoint.http_port}", ())
        http_ports = {_split(entry)[0]: _split(entry)[1] for entry in plain}
        addresses = [_split(entry) for entry in mapped]
        chosen = [item for item in addresses if _wanted(item[0], mode)][: 1 if mode == "first" else None]
        if not chosen:
            detail = f"connect-to has no {mode} address for it"
            return [Resolved(Target(endpoint, None), Failure.of(FailureReason.NOT_RUN, detail))]
        return [
            Resolved(Target(endpoint, Address(ip, port, http_ports.get(ip) if endpoint.http_port else None)))
            for ip, port in chosen
        ]
    if isinstance(answer, Failure):
        return [Resolved(Target(endpoint, None), answer)]
    return [Resolved(Target(endpoint, Address(ip, endpoint.port, endpoint.http_port))) for ip in answer]


def _split(entry: str) -> tuple[str, int]:
    address, _, port = entry.rpartition(":")
    return address.strip("[]"), int(port)


def _wanted(ip: str, mode: AddressMode) -> bool:
    version = ipaddress.ip_address(ip).version
    return mode not in {"ipv4", "ipv6"} or mode == f"ipv{version}"


async def probe_dns(target: Target, settings: ProbeSettings, lookups: CaaLookups | None = None) -> DnsEvidence:
    """Look for the CAA records that hold for the target's name, and ask whether its answers are signed.

    `lookups` are those of the run, where it has several targets.
    """
    addresses = (target.ip,) if target.ip else ()
    host = target.endpoint.host
    if target.endpoint.is_address:
        no_name: Attempt[Any] = Attempt.failed(FailureReason.UNSUPPORTED, "an IP address has no CAA records")
        return DnsEvidence(addresses, no_name, dnssec=no_name)
    if target.endpoint.address in settings.connect_to or not is_public(host):
        detail = "a name that the public DNS does not answer for"
        not_public: Attempt[Any] = Attempt.failed(FailureReason.UNSUPPORTED, detail)
        return DnsEvidence(addresses, not_public, dnssec=not_public)
    found = await (lookups or CaaLookups(settings)).of(host)
    if settings.validating_resolver is None:
        signed: Attempt[Dnssec] = Attempt.failed(FailureReason.NOT_ASKED, NO_RESOLVER)
    else:
        signed = await dnssec_of(host, settings.validating_resolver, settings.timeout_s)
    return DnsEvidence(addresses, found.caa, found.caa_domain, dnssec=signed)


class DnsProbe(Struct, frozen=True):
    """What the DNS says of a target's name."""

    settings: ProbeSettings
    lookups: CaaLookups
    name: Literal["dns"] = "dns"

    async def observe(self, target: Target, _environment: Environment, _budget: Budget) -> Attempt[DnsEvidence]:
        """Ask name servers about the target's name. No connection to the target is made."""
        if self.settings.proxy is not None:
            detail = "a proxy cannot carry DNS queries, and none is sent past it"
            nobody: Attempt[Any] = Attempt.failed(FailureReason.NOT_ASKED, detail)
            return Attempt.ok(DnsEvidence(caa=nobody, dnssec=nobody))
        return Attempt.ok(await probe_dns(target, self.settings, self.lookups))
