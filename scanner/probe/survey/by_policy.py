"""What is asked of a server's TLS only where a policy judges it: padding oracles, and ephemeral keys used again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import partial
from typing import Final

from scanner.evidence import Attempt, FailureReason, Protocol, TlsEvidence, not_run
from scanner.inventory import Target
from scanner.probe import ProbeSettings
from scanner.probe.net.budget import Budget
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.oracles import CbcOffer, cbc_offer, exchanges_of, padding_oracles, reused_keys
from scanner.probe.survey.second_opinion import offer_of

PADDING: Final = "vuln.padding-oracle"
REUSE: Final = frozenset({"kex.fresh-keys", "vuln.raccoon"})
_ANYWHERE: Final = (Protocol.TLS1_2, Protocol.TLS1_1, Protocol.TLS1_0)


def asked_for(settings: ProbeSettings) -> tuple[str, ...]:
    """The facts that a policy of the run judges."""
    facts = {"padding_oracle": PADDING in settings.questions, "reused_keys": bool(REUSE & settings.questions)}
    return tuple(fact for fact, wanted in facts.items() if wanted)


async def seen_by_policy(tls: TlsEvidence, target: Target, settings: ProbeSettings, budget: Budget) -> TlsEvidence:
    """The evidence with those facts."""
    client = HelloClient(target, settings, budget)
    name = None if target.endpoint.is_address else target.endpoint.host
    found: dict[str, Attempt[tuple[str, ...]]] = {}
    for fact in asked_for(settings):
        if fact == "reused_keys":
            found[fact] = await _reused(client, tls, name)
        elif settings.intrusive:
            found[fact] = await _oracles(client, tls, name, _content(target))
        else:
            off = "probes that look like attacks are switched off (intrusive)"
            found[fact] = Attempt.failed(FailureReason.NOT_ASKED, off)
    return dataclasses.replace(tls, **found)  # type: ignore[arg-type]  # names and types are its fields'


async def _oracles(client: HelloClient, tls: TlsEvidence, name: str | None, content: bytes) -> Attempt[tuple[str, ...]]:
    """In the newest version with a suite in CBC that the library can do."""
    offer = next(filter(None, (cbc_offer(protocol, _names(tls, protocol)) for protocol in _ANYWHERE)), None)
    if isinstance(offer, CbcOffer):
        return await padding_oracles(client, offer, name, content)
    if any("_CBC_" in suite for protocol in Protocol for suite in _names(tls, protocol)):
        return Attempt.failed(FailureReason.UNSUPPORTED, "its suites in CBC are none that a handshake can be made with")
    return not_run()


async def _reused(client: HelloClient, tls: TlsEvidence, name: str | None) -> Attempt[tuple[str, ...]]:
    """In the newest version before TLS 1.3 that has such an exchange, for each kind of it."""
    for protocol in _ANYWHERE:
        offers = exchanges_of(_names(tls, protocol), partial(offer_of, tls, name, protocol))
        if offers:
            return await reused_keys(client, offers)
    return not_run()


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
