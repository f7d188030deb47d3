"""What is asked of a server's TLS only where a policy judges it: attacks that no hello shows, and keys used again."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from msgspec import structs

from scanner.evidence import Attempt, Failure, FailureReason, Protocol, Ticketbleed, TlsEvidence, not_run
from scanner.inventory import Target
from scanner.probe import ProbeSettings, iana
from scanner.probe.net.budget import Budget
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.hello import KEY_SHARE_GROUPS
from scanner.probe.survey.oracles import CbcOffer, cbc_offer, exchanges_of, padding_oracles, reused_keys
from scanner.probe.survey.second_opinion import offer_of
from scanner.probe.survey.server_flight import ServerFlight
from scanner.probe.survey.tickets import (
    codes_of,
    doable,
    key_of,
    ticket_before_tls13,
    ticket_of_tls13,
    ticketbleed,
)

_FACTS: Final[Mapping[str, frozenset[str]]] = {
    "padding_oracle": frozenset({"vuln.padding-oracle"}),
    "reused_keys": frozenset({"kex.fresh-keys", "vuln.raccoon"}),
    "ticketbleed": frozenset({"vuln.ticketbleed"}),
    "ticket_key": frozenset({"kex.ticket-keys"}),
    "other_alpn": frozenset({"vuln.alpaca"}),
}
"""The facts, and the rules that judge them."""
_INTRUSIVE: Final = frozenset({"padding_oracle", "ticketbleed"})
"""Those that are asked for by what looks like an attack."""
_ANYWHERE: Final = (Protocol.TLS1_2, Protocol.TLS1_1, Protocol.TLS1_0)
_HTTP: Final = ("h2", "http/1.1")


def asked_for(settings: ProbeSettings) -> tuple[str, ...]:
    """The facts that a policy of the run judges."""
    return tuple(fact for fact, rules in _FACTS.items() if rules & settings.questions)


async def seen_by_policy(tls: TlsEvidence, target: Target, settings: ProbeSettings, budget: Budget) -> TlsEvidence:
    """The evidence with those facts."""
    client = HelloClient(target, settings, budget)
    name = None if target.endpoint.is_address else target.endpoint.host
    ask: Mapping[str, Callable[[], Awaitable[Attempt[Any]]]] = {
        "padding_oracle": lambda: _oracles(client, tls, name, _content(target)),
        "reused_keys": lambda: _reused(client, tls, name),
        "ticketbleed": lambda: _ticketbleed(client, tls, name),
        "ticket_key": lambda: _ticket_key(client, tls, name),
        "other_alpn": lambda: _other_alpn(client, tls, name, target),
    }
    found: dict[str, Attempt[Any]] = {}
    for fact in asked_for(settings):
        if fact in _INTRUSIVE and not settings.intrusive:
            off = "probes that look like attacks are switched off (intrusive)"
            found[fact] = Attempt.failed(FailureReason.NOT_ASKED, off)
        else:
            found[fact] = await ask[fact]()
    return dataclasses.replace(tls, **found)  # type: ignore[arg-type]  # names and types are its fields'


async def _oracles(client: HelloClient, tls: TlsEvidence, name: str | None, content: bytes) -> Attempt[tuple[str, ...]]:
    """In the newest version with a suite in CBC that the library can do."""
    offer = next(filter(None, (cbc_offer(protocol, _names(tls, protocol)) for protocol in _ANYWHERE)), None)
    if isinstance(offer, CbcOffer):
        return await padding_oracles(client, offer, name, content)
    if any("_CBC_" in suite for protocol in Protocol for suite in _names(tls, protocol)):
        return Attempt.failed(FailureReason.UNSUPPORTED, "no handshake can be made with its CBC suites")
    return not_run()


async def _reused(client: HelloClient, tls: TlsEvidence, name: str | None) -> Attempt[tuple[str, ...]]:
    """In the newest version before TLS 1.3 that has such an exchange, for each kind of it."""
    for protocol in _ANYWHERE:
        offers = exchanges_of(_names(tls, protocol), partial(offer_of, tls, name, protocol))
        if offers:
            return await reused_keys(client, offers)
    return not_run()


async def _ticketbleed(client: HelloClient, tls: TlsEvidence, name: str | None) -> Attempt[Ticketbleed]:
    """In the newest version before TLS 1.3; a library of its own makes the handshake."""
    for protocol, suites in _older(tls):
        offer = offer_of(tls, name, protocol, codes_of(suites))
        return await ticketbleed(client, offer, suites, name) if suites else _undoable()
    return not_run()


async def _ticket_key(client: HelloClient, tls: TlsEvidence, name: str | None) -> Attempt[str]:
    """In the newest version before TLS 1.3, else in TLS 1.3: two tickets, of a connection each."""
    older = next(_older(tls), None)
    if older is not None and not older[1]:
        return _undoable()
    found: list[bytes] = []
    for _ in range(2):
        ticket: bytes | Failure
        if older is not None:
            ticket = await ticket_before_tls13(client, older[0], older[1], name)
        else:
            groups = (tls.groups.get(Protocol.TLS1_3) or not_run()).value or ()
            codes = [code for code, item in iana.groups().items() if item.name in groups]
            ticket = await ticket_of_tls13(client, codes_of(_names(tls, Protocol.TLS1_3)), codes, name)
        if isinstance(ticket, Failure):
            return Attempt(failure=ticket)
        found.append(ticket)
        if not ticket:
            break
    return Attempt.ok(key_of(found[0], found[-1]))


async def _other_alpn(client: HelloClient, tls: TlsEvidence, name: str | None, target: Target) -> Attempt[bool]:
    """Whether a hello for HTTP alone is accepted where none is spoken; RFC 7301 (section 3.2) wants it refused."""
    endpoint = target.endpoint
    newest = next((protocol for protocol in (*_ANYWHERE, Protocol.TLS1_3) if protocol in tls.negotiated), None)
    if newest is None or (endpoint.role.speaks_http and endpoint.starttls is None):
        return not_run()
    offer = structs.replace(offer_of(tls, name, newest, codes_of(_names(tls, newest))), alpn=_HTTP)
    if newest is Protocol.TLS1_3:
        offer = structs.replace(
            offer, key_shares=tuple(group for group in KEY_SHARE_GROUPS if group in offer.groups)[:1]
        )
    answer = await client.ask(offer, whole=False)
    return Attempt(failure=answer) if isinstance(answer, Failure) else Attempt.ok(isinstance(answer, ServerFlight))


def _older(tls: TlsEvidence) -> Iterator[tuple[Protocol, tuple[str, ...]]]:
    """The versions before TLS 1.3 that are negotiated, and those of their suites that the library can do."""
    for protocol in _ANYWHERE:
        if protocol in tls.negotiated:
            yield protocol, doable(_names(tls, protocol))


def _undoable() -> Attempt[Any]:
    return Attempt.failed(FailureReason.UNSUPPORTED, "its suites are none that a handshake can be made with")


def _names(tls: TlsEvidence, protocol: Protocol) -> Iterable[str]:
    accepted = tls.offer(protocol).value
    return [suite.name for suite in accepted.suites if not suite.unconfirmed] if accepted is not None else []


def _content(target: Target) -> bytes:
    """What a right record says, so that the server answers it and closes the connection, where it speaks HTTP."""
    endpoint = target.endpoint
    if not endpoint.role.speaks_http or endpoint.starttls is not None:
        return b"\r\n"
    host = endpoint.host.encode("ascii", "replace")
    return b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n"
