"""Which cipher suites a server accepts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

from scanner.evidence import Protocol, TlsEvidence
from scanner.rules.registry import (
    Facts,
    Finding,
    Mistake,
    Parameters,
    fails,
    not_applicable,
    not_observed,
    passes,
    rule,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import attack, rfc
from scanner.rules.tls import fixes
from scanner.rules.tls.accepted import Accepted, accepted_suites, judge_suites
from scanner.rules.tls.suites import Suite
from scanner.verdict import Goal, Severity, Source

SUITES_HOW = (
    "In each protocol version every known cipher suite is offered, then the ones not yet chosen, until the server "
    "refuses; each suite is classified by its IANA name."
)


def _forbid(  # noqa: PLR0913, PLR0917  # one declaration each
    slug: str,
    title: str,
    severity: Severity,
    kind: str,
    offends: Callable[[Suite], bool],
    why: str,
    sources: tuple[Source, ...],
    mistake: Mistake,
) -> None:
    @rule(
        f"cipher.{slug}",
        title=title,
        goal=Goal.ENCRYPTION,
        severity=severity,
        of=TlsEvidence,
        why=why,
        how=SUITES_HOW,
        sources=sources,
        reasons={
            "none-accepted": passes(f"No cipher suite {kind} is accepted."),
            "accepted": fails(f"Cipher suites {kind} are accepted: {{observed}}."),
        },
        fix=fixes.SUITES,
        mistake=mistake,
    )
    def _check(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
        return judge_suites(tls, lambda item: offends(item.suite), "accepted", "none-accepted")


_forbid(
    "no-null",
    "No cipher suite without encryption",
    Severity.CRITICAL,
    "without encryption",
    lambda suite: suite.null,
    "With a NULL cipher, TLS sends everything in clear text.",
    (rfc(9325, "4.1"),),
    fixes.WORST_SUITES,
)
_forbid(
    "no-anonymous",
    "No cipher suite without authentication",
    Severity.CRITICAL,
    "without server authentication",
    lambda suite: suite.anonymous,
    "Without authentication, an attacker on the path can impersonate the server, and read and change everything.",
    (rfc(9325, "4.1"), rfc(5246, "A.5")),
    fixes.WORST_SUITES,
)
_forbid(
    "no-export",
    "No export cipher suite",
    Severity.CRITICAL,
    "of export grade",
    lambda suite: suite.export,
    "Export suites were made to be broken: 40-bit keys and 512-bit key exchanges fall in minutes, and an attacker can "
    "steer clients onto them (FREAK, Logjam).",
    (rfc(9325, "4.1"),),
    fixes.OLD_SUITES,
)
_forbid(
    "no-rc4",
    "No RC4 cipher suite",
    Severity.HIGH,
    "with RC4",
    lambda suite: suite.rc4,
    "The key stream of RC4 is biased: cookies that are sent often enough can be read.",
    (rfc(7465, "2"), rfc(9325, "4.1")),
    fixes.OLD_SUITES,
)
_forbid(
    "no-64bit-block",
    "No cipher with blocks of 64 bits",
    Severity.HIGH,
    "with blocks of 64 bits (3DES, DES, IDEA, RC2)",
    lambda suite: suite.block_of_64_bits,
    "After about 32 GB under one key, two blocks are likely to collide, which reveals their contents (SWEET32).",
    (attack("SWEET32 (CVE-2016-2183)", "https://sweet32.info/"), rfc(9325, "4.1")),
    fixes.OLD_SUITES,
)


@rule(
    "cipher.forward-secrecy",
    title="Forward secrecy everywhere",
    goal=Goal.ENCRYPTION,
    severity=Severity.HIGH,
    of=TlsEvidence,
    why="Without an ephemeral key exchange, anyone who obtains the server's key can decrypt all recorded traffic.",
    how=SUITES_HOW,
    sources=(rfc(9325, "4.1"), rfc(10015, "4")),
    reasons={
        "all-ephemeral": passes("Every accepted cipher suite has an ephemeral key exchange."),
        "static": fails("Cipher suites without forward secrecy are accepted: {observed}."),
    },
    fix=fixes.SUITES,
    mistake=fixes.BAD_SUITES,
)
def _forward_secrecy(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    return judge_suites(tls, lambda item: not item.suite.ephemeral, "static", "all-ephemeral")


class DatedSuites(Parameters):
    """Suites that are allowed up to a day."""

    until: date
    """The last day on which they are allowed."""
    suites: tuple[str, ...]
    """IANA names."""


class AllowedParameters(Parameters):
    """Parameters of cipher.allowed."""

    suites: Mapping[Protocol, tuple[str, ...]] = {}
    """IANA names of the suites that are allowed, by protocol. In a protocol that is not named, none is."""
    dated: tuple[DatedSuites, ...] = ()
    """Suites that are allowed besides, in every protocol named above, up to a day."""
    phase_out: tuple[str, ...] = ()
    """Suites that fail at low severity, because the source wants them phased out."""


@rule(
    "cipher.allowed",
    title="Only cipher suites that the policy lists",
    goal=Goal.ENCRYPTION,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="A short list of good suites is easier to trust than a long list of suites that are not yet broken.",
    how=SUITES_HOW,
    sources=(rfc(9325, "4.2"),),
    reasons={
        "all-listed": passes("Every accepted cipher suite is on the policy's list."),
        "not-listed": fails("Cipher suites that the policy does not list are accepted: {observed}."),
        "ended": fails("Cipher suites whose transition period in this policy has ended are accepted: {observed}."),
        "phase-out": fails("Cipher suites that the policy wants phased out are accepted: {observed}."),
    },
    fix=fixes.SUITES,
    mistake=fixes.BAD_SUITES,
    parameters=AllowedParameters,
)
def _allowed(tls: TlsEvidence, facts: Facts, parameters: AllowedParameters) -> list[Finding]:
    accepted = accepted_suites(tls)
    today = facts.now.date()
    current = {name for entry in parameters.dated if today <= entry.until for name in entry.suites}
    ended = {name for entry in parameters.dated if today > entry.until for name in entry.suites}
    offending: dict[str, list[Accepted]] = {"not-listed": [], "ended": [], "phase-out": []}
    for item in accepted.items:
        listed = parameters.suites.get(item.protocol)
        if listed is not None and item.suite.name in {*listed, *current}:
            continue
        if listed is not None and item.suite.name in parameters.phase_out:
            offending["phase-out"].append(item)
        elif listed is not None and item.suite.name in ended:
            offending["ended"].append(item)
        else:
            offending["not-listed"].append(item)
    expected = "only suites on the policy's list"
    for reason, items in offending.items():
        if items:
            severity = Severity.LOW if reason == "phase-out" else None
            return [Finding(reason, observed=accepted.names(items), expected=expected, severity=severity)]
    if accepted.gap:
        return [accepted.gap]
    return [Finding("all-listed", observed=accepted.names(), expected=expected)]


class PreferenceParameters(Parameters):
    """Parameters of cipher.server-preference."""

    imposed: bool = True
    """True where the server must impose its own order, False where it must leave the choice to the client."""
    indifferent: tuple[str, ...] = ()
    """Suites among which the order does not matter: a server that accepts no others is not judged."""


@rule(
    "cipher.server-preference",
    title="Who chooses the cipher suite",
    goal=Goal.ENCRYPTION,
    severity=Severity.INFO,
    of=TlsEvidence,
    why="Where weaker suites are offered beside better ones, the server's order ensures that the better ones are "
    "used; where all are good, the client knows best which is cheapest for it.",
    how="Two accepted suites are offered in both orders; a server that chooses the same one twice imposes its order.",
    sources=(rfc(9325, "4.2.1"),),
    reasons={
        "as-wanted": passes("{observed}, as the policy says."),
        "otherwise": fails("{observed}, but the policy requires the opposite."),
        "all-good": not_applicable("Every accepted cipher suite is one of those whose order does not matter."),
        "no-choice": not_applicable("In no protocol version is more than one cipher suite accepted."),
    },
    fix=fixes.ORDER,
    mistake=fixes.ANY_ORDER,
    parameters=PreferenceParameters,
)
def _server_preference(tls: TlsEvidence, facts: Facts, parameters: PreferenceParameters) -> list[Finding]:
    orders: dict[str, bool | None] = {}
    exceptions: list[str] = []
    suites = accepted_suites(tls)
    gap = suites.gap
    if gap is None and all(item.suite.name in parameters.indifferent for item in suites.items):
        return [Finding("all-good", suites.names())]
    for protocol in tls.negotiated:
        offer = tls.offer(protocol).value
        if offer is not None and len(offer.suites) > 1:
            orders[protocol.value] = offer.server_order
            exceptions += [protocol.value] if offer.chacha20_first else []
    words = {True: "The server imposes its order", False: "The client chooses"}
    expected = words[parameters.imposed]
    against = [protocol for protocol, order in orders.items() if order is (not parameters.imposed)]
    apart = f", except where the client prefers ChaCha20 ({listing(exceptions)})" if exceptions else ""
    if against:
        return [Finding("otherwise", f"{words[not parameters.imposed]} in {listing(against)}{apart}", expected)]
    if None in orders.values():
        return [not_observed(None)]
    if gap:
        return [gap]
    if not orders:
        return [Finding("no-choice")]
    return [Finding("as-wanted", f"{expected} in {listing(orders)}{apart}", expected)]
