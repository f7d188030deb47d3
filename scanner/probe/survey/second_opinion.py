"""What the handshake engine found, and would be grave if it were true, is looked at once more by another probe.

A finding that is not confirmed is no finding: both observations are told, and the verdict is `indeterminate`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import structs

from scanner.evidence import Attempt, Failure, FailureReason, NameReaction, Protocol, Robot, TlsEvidence
from scanner.inventory import Target
from scanner.probe import ProbeSettings, iana
from scanner.probe.net.budget import Budget
from scanner.probe.net.connection import TcpStream
from scanner.probe.survey.attacks import Second, ccs_injection, heartbleed, heartbleed_and_ccs, robot
from scanner.probe.survey.baseline import template_of
from scanner.probe.survey.client import HelloClient
from scanner.probe.survey.full_handshake import early_data_in_ticket, speakable, speakable_groups
from scanner.probe.survey.hello import Offer
from scanner.probe.tls.division import ENOUGH

_OLDER: Final = (Protocol.TLS1_2, Protocol.TLS1_1, Protocol.TLS1_0, Protocol.SSL3)
_Named = iana.CipherSuite | iana.Group | iana.SignatureScheme
_NOT_BY_THE_ENGINE: Final = (
    FailureReason.UNSUPPORTED,
    FailureReason.HANDSHAKE_FAILED,
    FailureReason.CLIENT_CERTIFICATE_REQUIRED,
    FailureReason.ENGINE_ERROR,
    FailureReason.PROXY_UNREACHABLE,
)
_FIRST: Final = {
    "heartbleed": "an overlong heartbeat was answered",
    "ccs_injection": "an early ChangeCipherSpec was accepted",
}


def suspected(tls: TlsEvidence) -> tuple[str, ...]:
    """The facts that are to be confirmed before they are told."""
    found = {
        "heartbleed": tls.heartbleed.value is True,
        "ccs_injection": tls.ccs_injection.value is True,
        "robot": tls.robot.value in {Robot.WEAK_ORACLE, Robot.STRONG_ORACLE},
        "early_data": tls.early_data.value is True or bool(tls.max_early_data_size.value),
    }
    return tuple(name for name, is_so in found.items() if is_so)


def unasked(tls: TlsEvidence) -> tuple[str, ...]:
    """Of Heartbleed and CCS injection, what the handshake engine did not look at, though there is what to look at.

    It leaves both to this probe; alone it looks at neither where a server speaks TLS 1.3 as well, as if one program
    answered in all versions, and calls one safe that refuses a hello without a server name, which is what it asks by.
    With some servers its library can make no handshake, as with those of unusual curves, or it dies.
    """
    if not set(tls.negotiated).intersection(_OLDER):
        return ()
    nameless = tls.without_sni.value in {NameReaction.ALERT, NameReaction.UNRECOGNIZED_NAME}
    seen = {fact: getattr(tls, fact) for fact in ("heartbleed", "ccs_injection")}
    return tuple(
        fact
        for fact, attempt in seen.items()
        if (nameless and attempt.value is False)
        or (attempt.failure is not None and attempt.failure.reason in _NOT_BY_THE_ENGINE)
    )


async def asked(tls: TlsEvidence, target: Target, settings: ProbeSettings, budget: Budget) -> TlsEvidence:
    """The evidence, in which this probe's answers stand for what the engine did not ask (`unasked`).

    A finding is that of one probe yet.
    """
    enough = next((cut for protocol in _OLDER if (cut := tls.offer(protocol).cut_off) and cut.reason in ENOUGH), None)
    if enough is not None:
        # It stopped answering, and is left alone.
        unanswered: Attempt[Any] = Attempt(failure=enough)
        return dataclasses.replace(tls, **dict.fromkeys(unasked(tls), unanswered))  # type: ignore[arg-type]  # its own
    client = HelloClient(target, settings, budget)
    offer = _offer(tls, None if target.endpoint.is_address else target.endpoint.host, by_rsa=False)
    if offer is None:
        untried = Second(confirmed=False, observed="nothing that it could be tried with is accepted", tried=False)
        answers = (untried, untried)
    else:
        answers = await heartbleed_and_ccs(client, offer)
    changed: dict[str, Attempt[Any]] = {}
    for fact, answer in zip(("heartbleed", "ccs_injection"), answers, strict=True):
        if fact in unasked(tls):
            told: Attempt[Any] = Attempt.failed(
                FailureReason.HANDSHAKE_FAILED, f"the attack could not be carried out: {answer.observed}"
            )
            changed[fact] = Attempt.ok(answer.confirmed) if answer.tried else told
    return dataclasses.replace(tls, **changed)  # type: ignore[arg-type]  # names and types are its fields'


def before_tls13(tls: TlsEvidence) -> Protocol:
    """The newest protocol before TLS 1.3 that is negotiated; TLS 1.2 where none is known to be."""
    return next((protocol for protocol in _OLDER if protocol in tls.negotiated), Protocol.TLS1_2)


def doubted(tls: TlsEvidence, engine: Attempt[TlsEvidence], facts: Collection[str]) -> TlsEvidence:
    """The evidence, in which a finding of this probe's that the engine does not see as well is `inconsistent`."""
    changed: dict[str, Attempt[Any]] = {}
    for fact in facts:
        theirs = getattr(engine.value, fact) if engine.value is not None else engine
        if theirs.value is not True:
            why = theirs.failure.reason if theirs.failure is not None else "it was not"
            detail = f"{_FIRST[fact]}; not so for a second probe: {why}"
            changed[fact] = Attempt.failed(FailureReason.INCONSISTENT, detail)
    return dataclasses.replace(tls, **changed)  # type: ignore[arg-type]  # names and types are its fields'


async def confirmed(tls: TlsEvidence, target: Target, settings: ProbeSettings, budget: Budget) -> TlsEvidence:
    """The evidence, in which what a second probe does not see as well is `inconsistent`."""
    client = HelloClient(target, settings, budget)
    name = None if target.endpoint.is_address else target.endpoint.host
    changed: dict[str, Attempt[Any]] = {}
    for fact in suspected(tls):
        second = await _looked_at_again(fact, tls, client, name)
        if not second.confirmed:
            changed |= _unconfirmed(fact, tls, second)
    return dataclasses.replace(tls, **changed)  # type: ignore[arg-type]  # names and types are its fields'


async def _looked_at_again(fact: str, tls: TlsEvidence, client: HelloClient, server_name: str | None) -> Second:
    if fact == "early_data":
        return await _early_data(tls, client, server_name)
    attack: Callable[[HelloClient, Offer], Awaitable[Second]]
    attack = {"heartbleed": heartbleed, "ccs_injection": ccs_injection, "robot": robot}[fact]
    offer = _offer(tls, server_name, by_rsa=fact == "robot")
    if offer is None:
        return Second(confirmed=False, observed="nothing that it could be tried with is accepted")
    return await attack(client, offer)


def _offer(tls: TlsEvidence, server_name: str | None, *, by_rsa: bool) -> Offer | None:
    """A hello of the newest version before TLS 1.3, with what was accepted alone: some servers read no more."""
    for protocol in _OLDER:
        suites = _suites(tls, protocol)
        if by_rsa:
            suites = [code for code in suites if iana.cipher_suites()[code].key_exchange == "RSA"]
        if suites:
            return offer_of(tls, server_name, protocol, suites)
    return None


def offer_of(tls: TlsEvidence, server_name: str | None, protocol: Protocol, suites: Sequence[int]) -> Offer:
    """A hello with these suites, and with what else was accepted; of schemes and curves with the others behind it.

    Schemes are also those by which the certificates may be signed (RFC 5246 section 7.4.4), which need not be any by
    which the server signs: Erlang refuses a hello without. Curves are also those that certificates may have (RFC 8422
    section 5.1), which need not be any by which keys are agreed upon.
    """
    template = template_of(server_name, tls.intolerances.value or ())
    groups = _listed(tls.groups.get(protocol), iana.groups())
    if not template.small:
        groups = _with_curves(groups, protocol)
    schemes = _listed(tls.signature_schemes.get(protocol), iana.signature_schemes())
    offer = template.offer(protocol, suites, groups=groups or None)
    return structs.replace(offer, schemes=tuple(dict.fromkeys((*schemes, *offer.schemes))) if offer.schemes else ())


def _with_curves(accepted: Sequence[int], protocol: Protocol) -> list[int]:
    """The groups accepted, and all other curves behind them; nothing where none is known to be."""
    known = iana.groups()
    others = (code for code in iana.offered_groups(protocol) if not known[code].finite_field)
    return list(dict.fromkeys((*accepted, *others))) if accepted else []


def _suites(tls: TlsEvidence, protocol: Protocol) -> list[int]:
    """The code points of the suites that were accepted."""
    accepted = tls.offer(protocol).value
    return _codes((suite.name for suite in accepted.suites), iana.cipher_suites()) if accepted is not None else []


def _listed(accepted: Attempt[tuple[str, ...]] | None, table: Mapping[int, _Named]) -> list[int]:
    """The code points of what was accepted; empty also where that is not known."""
    return _codes(accepted.value or () if accepted is not None else (), table)


def _codes(names: Iterable[str], table: Mapping[int, _Named]) -> list[int]:
    known = {item.name: code for code, item in table.items()}
    return [known[name] for name in names if name in known]


async def _early_data(tls: TlsEvidence, client: HelloClient, server_name: str | None) -> Second:
    """Read a session ticket by the other library."""
    ciphers = speakable(Protocol.TLS1_3, _suites(tls, Protocol.TLS1_3))
    usable = speakable_groups(_listed(tls.groups.get(Protocol.TLS1_3), iana.groups()))
    if not ciphers or not usable:
        return Second(confirmed=False, observed="no handshake that a second library could make is accepted")

    async def talk(stream: TcpStream) -> int | None:
        return await early_data_in_ticket(stream, server_name, ciphers, usable[0])

    allowed = await client.converse(talk)
    if isinstance(allowed, Failure):
        return Second(confirmed=False, observed=f"{allowed.reason} ({allowed.detail})")
    if allowed is None:
        return Second(confirmed=False, observed="no session ticket came")
    return Second(confirmed=allowed > 0, observed=f"a session ticket allows {allowed} bytes of early data")


def _unconfirmed(fact: str, tls: TlsEvidence, second: Second) -> dict[str, Attempt[Any]]:
    if fact == "early_data":
        size = tls.max_early_data_size.value
        first = f"a session ticket allows {size} bytes of early data" if size else "early data was accepted"
    elif fact == "robot":
        first = f"{tls.robot.value} by one probe"
    else:
        first = _FIRST[fact]
    told = Failure.of(FailureReason.INCONSISTENT, f"{first}; not so for a second probe: {second.observed}")
    names = ("early_data", "max_early_data_size") if fact == "early_data" else (fact,)
    return {name: Attempt(failure=told) for name in names}
