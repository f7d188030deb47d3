"""The groups and sizes of ephemeral key exchanges."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from scanner.evidence import Failure, FailureReason, Protocol, TlsEvidence
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    Proof,
    fails,
    not_applicable,
    not_observed,
    passes,
    rule,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import attack, rfc
from scanner.rules.tls import fixes
from scanner.rules.tls.accepted import Accepted, AcceptedSuites, accepted_suites, nothing_negotiated, unseen
from scanner.rules.tls.groups import bits_of, has_mlkem, is_elliptic, is_finite_field
from scanner.verdict import Goal, Severity

_HOW = (
    "Groups are offered one less each time until the server refuses, in TLS 1.2 by its ServerKeyExchange, in TLS 1.3 "
    "by its HelloRetryRequest; sizes of finite-field groups are read from the ServerKeyExchange of each DHE suite."
)
_SMALLEST_FFDHE = 2048


def _groups_seen(tls: TlsEvidence, suites: AcceptedSuites) -> list[tuple[str, str]]:
    """Each group with where it was seen."""
    seen = [(name, protocol.value) for protocol, attempt in tls.groups.items() for name in attempt.value or ()]
    seen += [(item.seen.group, item.protocol.value) for item in suites.items if item.seen.group]
    return list(dict.fromkeys(seen))


def groups_gap(tls: TlsEvidence, suites: AcceptedSuites) -> Finding | None:
    """Why there may be groups that were not seen. Versions before TLS 1.3 share one list in every implementation."""
    if suites.gap:
        return suites.gap
    if Protocol.TLS1_3 in tls.negotiated and (gap := _group_gap(tls, (Protocol.TLS1_3,))):
        return gap
    if any(item.suite.elliptic for item in suites.items):
        return _group_gap(tls, (Protocol.TLS1_2, Protocol.TLS1_1, Protocol.TLS1_0))
    return None


def _group_gap(tls: TlsEvidence, protocols: tuple[Protocol, ...]) -> Finding | None:
    attempts = [(protocol, tls.groups[protocol]) for protocol in protocols if protocol in tls.groups]
    if tls.classical_curves_only:
        detail = "the engine asks only for elliptic curves of the newest protocol"
        return unseen(protocols[0], Failure(FailureReason.UNSUPPORTED, detail))
    if any(attempt.cut_off is None for _, attempt in attempts):
        return None
    protocol, cause = next(
        ((protocol, attempt.cut_off) for protocol, attempt in attempts), (protocols[0], Failure(FailureReason.NOT_RUN))
    )
    return unseen(protocol, cause)


def _named(pairs: list[tuple[str, str]]) -> str:
    return listing(f"{group} ({protocol})" for group, protocol in pairs)


class DatedGroups(Parameters):
    """Groups that are allowed up to a day."""

    until: date
    """The last day on which they are allowed."""
    groups: tuple[str, ...]
    """IANA names in lower case."""
    protocols: tuple[Protocol, ...] = tuple(Protocol)
    """Where they are allowed; everywhere, where nothing is said."""


class AllowedGroupsParameters(Parameters):
    """Parameters of kex.allowed-groups."""

    groups: tuple[str, ...] = ()
    """IANA names in lower case of the groups that are allowed."""
    by_protocol: Mapping[Protocol, tuple[str, ...]] = {}
    """Groups that are allowed besides, in one protocol."""
    dated: tuple[DatedGroups, ...] = ()
    """Groups that are allowed besides, up to a day."""
    any_of: tuple[str, ...] = ()
    """Groups of which one at least must be accepted wherever groups are negotiated."""
    phase_out: tuple[str, ...] = ()
    """Groups that fail at low severity, because the source wants them phased out."""


@rule(
    "kex.allowed-groups",
    title="Only groups that the policy lists",
    goal=Goal.ENCRYPTION,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="The group decides how hard the key exchange is to break, and an attacker can steer clients to the weakest "
    "one.",
    how=_HOW,
    sources=(rfc(9325, "4.2.1"),),
    reasons={
        "all-listed": passes("Every accepted group is on the policy's list."),
        "not-listed": fails("Groups that the policy does not list are accepted: {observed}."),
        "ended": fails("Groups whose transition period in this policy has ended are accepted: {observed}."),
        "none-of": fails("None of the groups {expected} is accepted, and the policy requires one of them."),
        "phase-out": fails("Groups that the policy wants phased out are accepted: {observed}."),
        "no-groups": not_applicable("No accepted cipher suite has an ephemeral key exchange with a named group."),
    },
    fix=fixes.GROUPS,
    mistake=fixes.SMALL_CURVE,
    parameters=AllowedGroupsParameters,
)
def _allowed_groups(tls: TlsEvidence, facts: Facts, parameters: AllowedGroupsParameters) -> list[Finding]:
    suites = accepted_suites(tls)
    seen = _groups_seen(tls, suites)
    gap = groups_gap(tls, suites)
    offending: dict[str, list[tuple[str, str]]] = {"not-listed": [], "ended": [], "phase-out": []}
    for group, protocol in seen:
        if reason := _objection(parameters, group, Protocol(protocol), facts.now.date()):
            offending[reason].append((group, protocol))
    expected = listing(parameters.groups) or "only groups on the policy's list"
    for reason, pairs in offending.items():
        if pairs:
            severity = Severity.LOW if reason == "phase-out" else None
            return [Finding(reason, observed=_named(pairs), expected=expected, severity=severity)]
    if gap:
        return [gap]
    if not seen:
        return [Finding("no-groups")]
    if parameters.any_of and not {group for group, _ in seen} & set(parameters.any_of):
        return [Finding("none-of", _named(seen), listing(parameters.any_of), severity=Severity.HIGH)]
    return [Finding("all-listed", observed=_named(seen), expected=expected)]


def _objection(parameters: AllowedGroupsParameters, group: str, protocol: Protocol, today: date) -> str | None:
    """Why the policy does not take a group, None where it does."""
    if group in {*parameters.groups, *parameters.by_protocol.get(protocol, ())}:
        return None
    days = [item.until for item in parameters.dated if group in item.groups and protocol in item.protocols]
    if any(today <= day for day in days):
        return None
    if group in parameters.phase_out:
        return "phase-out"
    return "ended" if days else "not-listed"


class MinimumBitsParameters(Parameters):
    """Parameters of kex.min-dh-bits."""

    bits: int = 2048
    """The smallest size in bits."""
    phase_out_below: int | None = None
    """Sizes from `bits` up to this one fail at low severity."""


_SIZES = {
    "large-enough": passes("The smallest accepted key exchange has {observed}."),
    "too-small": fails("An ephemeral key exchange of {observed} is accepted; at least {expected} are required."),
}


def _dh_bits(item: Accepted) -> int | None:
    if item.seen.group and (bits := bits_of(item.seen.group)):
        return bits
    return item.seen.ephemeral_bits


@rule(
    "kex.min-dh-bits",
    title="Diffie-Hellman groups are large enough",
    goal=Goal.ENCRYPTION,
    severity=Severity.HIGH,
    of=TlsEvidence,
    why="A finite-field group of 1024 bits or less can be broken, and a common one needs to be broken only once "
    "(Logjam).",
    how=_HOW,
    sources=(rfc(9325, "4.5"), attack("Logjam (CVE-2015-4000)", "https://weakdh.org/")),
    reasons={
        **_SIZES,
        "phase-out": fails("An ephemeral key exchange of {observed} is accepted, which the policy wants phased out."),
        "not-prime": fails("The modulus of a Diffie-Hellman key exchange is not a prime number: {observed}."),
        "no-dhe": not_applicable("No finite-field Diffie-Hellman key exchange is accepted."),
    },
    fix=fixes.DIFFIE_HELLMAN,
    mistake=fixes.SMALL_PRIME,
    parameters=MinimumBitsParameters,
)
def _min_dh_bits(tls: TlsEvidence, facts: Facts, parameters: MinimumBitsParameters) -> list[Finding]:
    suites = accepted_suites(tls)
    candidates = [item for item in suites.items if item.suite.finite_field]
    if composite := [item.suite.name for item in candidates if item.seen.dh_prime == "composite"]:
        return [Finding("not-prime", listing(composite), "a prime modulus")]
    sizes = [(bits, item.suite.name) for item in candidates if (bits := _dh_bits(item)) is not None]
    sizes += [
        (bits, group)
        for group, _ in _groups_seen(tls, suites)
        if is_finite_field(group) and (bits := bits_of(group)) is not None
    ]
    gap = suites.gap or next(
        (
            not_observed(Failure.of(FailureReason.UNSUPPORTED, f"the size of the group of {item.suite.name}"))
            for item in candidates
            if _dh_bits(item) is None
        ),
        None,
    )
    # TLS 1.3 has no smaller groups, but it may have this one.
    matters = not sizes or max(parameters.bits, parameters.phase_out_below or 0) > _SMALLEST_FFDHE
    if gap is None and matters and Protocol.TLS1_3 in tls.negotiated:
        gap = _group_gap(tls, (Protocol.TLS1_3,))
    if not sizes and gap is None:
        return [Finding("no-dhe")]
    return _judge_sizes(sizes, gap, parameters.bits, parameters.phase_out_below)


class MinimumCurveParameters(Parameters):
    """Parameters of kex.min-ec-bits."""

    bits: int = 224
    """The smallest size in bits."""


@rule(
    "kex.min-ec-bits",
    title="Elliptic curves are large enough",
    goal=Goal.ENCRYPTION,
    severity=Severity.HIGH,
    of=TlsEvidence,
    why="The strength of a curve is half its size: below 224 bits, it is less than 112 bits.",
    how=_HOW,
    sources=(rfc(9325, "4.5"),),
    reasons={**_SIZES, "no-ecdhe": not_applicable("No elliptic-curve key exchange is accepted.")},
    fix=fixes.GROUPS,
    mistake=fixes.SMALL_CURVE,
    parameters=MinimumCurveParameters,
)
def _min_ec_bits(tls: TlsEvidence, facts: Facts, parameters: MinimumCurveParameters) -> list[Finding]:
    suites = accepted_suites(tls)
    named = [(bits_of(group), group) for group, _ in _groups_seen(tls, suites) if is_elliptic(group)]
    sizes = [(bits, group) for bits, group in named if bits is not None]
    sizes += [
        (item.seen.ephemeral_bits, item.suite.name)
        for item in suites.items
        if item.suite.elliptic and item.seen.group is None and item.seen.ephemeral_bits is not None
    ]
    unknown = next((group for bits, group in named if bits is None), None)
    gap = groups_gap(tls, suites)
    if gap is None and unknown:
        gap = not_observed(Failure.of(FailureReason.UNSUPPORTED, f"the size of the group {unknown}"))
    if not sizes and gap is None:
        return [Finding("no-ecdhe")]
    return _judge_sizes(sizes, gap, parameters.bits, None)


def _judge_sizes(
    sizes: list[tuple[int, str]], gap: Finding | None, minimum: int, phase_out_below: int | None
) -> list[Finding]:
    expected = f"{minimum} bits"
    smallest = min(sizes, default=None)
    observed = f"{smallest[0]} bits ({smallest[1]})" if smallest else ""
    if smallest and smallest[0] < minimum:
        return [Finding("too-small", observed, expected)]
    if smallest and phase_out_below and smallest[0] < phase_out_below:
        return [Finding("phase-out", observed, f"{phase_out_below} bits", severity=Severity.LOW)]
    if gap:
        return [gap]
    return [Finding("large-enough", observed, expected)]


@rule(
    "kex.post-quantum",
    title="A post-quantum hybrid key exchange is on",
    goal=Goal.ENCRYPTION,
    severity=Severity.INFO,
    of=TlsEvidence,
    why="Traffic recorded today can be decrypted once quantum computers are large enough, unless the key exchange "
    "used ML-KEM.",
    how="X25519MLKEM768, SecP256r1MLKEM768 and SecP384r1MLKEM1024 are offered in a TLS 1.3 ClientHello.",
    sources=(rfc(10024),),
    reasons={
        "offered": passes("A group with ML-KEM is accepted: {observed}."),
        "not-offered": fails("No group with ML-KEM is accepted."),
        "no-tls1.3": fails("The server does not negotiate TLS 1.3, the only version with hybrid groups."),
    },
    fix=fixes.POST_QUANTUM,
    mistake=fixes.CLASSICAL_GROUPS,
    proof=Proof.EXISTENTIAL,
)
def _post_quantum(tls: TlsEvidence, facts: Facts, parameters: Parameters) -> list[Finding]:
    suites = accepted_suites(tls)
    hybrids = [group for group, _ in _groups_seen(tls, suites) if has_mlkem(group)]
    expected = "x25519mlkem768 or another hybrid with ML-KEM"
    if hybrids:
        return [Finding("offered", listing(hybrids), expected)]
    if Protocol.TLS1_3 not in tls.negotiated:
        if (cause := tls.offer(Protocol.TLS1_3).cut_off) is not None:
            return [unseen(Protocol.TLS1_3, cause)]
        if not tls.negotiated:
            return [nothing_negotiated(tls)]
        return [Finding("no-tls1.3", listing(tls.negotiated), expected)]
    if gap := _group_gap(tls, (Protocol.TLS1_3,)):
        return [gap]
    return [Finding("not-offered", listing(group for group, _ in _groups_seen(tls, suites)), expected)]
