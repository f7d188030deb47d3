"""Does the certificate prove, today, that the server is who was asked for?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from scanner.counting import counted
from scanner.evidence import Deployment, Extension, Failure, FailureReason, title_of_store
from scanner.rules.certificates import fixes
from scanner.rules.certificates.hostname import covers
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    fails,
    indeterminate,
    not_applicable,
    not_observed,
    passes,
    rule,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import baseline, rfc
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from datetime import datetime


_DAY = timedelta(days=1)


class TrustParameters(Parameters):
    """Parameters of cert.trusted."""

    stores: tuple[Literal["mozilla", "chrome", "apple", "microsoft", "android", "java"], ...] = ()
    """Lists of roots of which each must trust the chain, besides the trust stores of the configuration."""
    list_days: int = 365
    """How old the lists may be at which a root that is not in them accuses anybody."""


@rule(
    "cert.trusted",
    title="The certificate leads to a trusted root",
    goal=Goal.AUTHENTICITY,
    severity=Severity.CRITICAL,
    of=Deployment,
    why="A certificate without a trusted issuer proves nothing: an attacker can create one for the same name in a "
    "second, and people who learn to dismiss the warning will dismiss the attacker's too.",
    how="A path from what the server sent to a root of the configured trust stores is built and its signatures are "
    "checked. Where there is none, intermediates are fetched from the URLs in the certificates, as browsers do. "
    "Separate rules judge names and dates.",
    sources=(rfc(5280, "6"), rfc(9525, "6")),
    reasons={
        "trusted": passes("The chain leads to a root of the trust store {observed}."),
        "trusted-completed": passes(
            "The chain leads to a root of {observed} once the missing intermediates are fetched, which browsers do "
            "and programs do not; cert.chain-complete reports that."
        ),
        "distrusted": fails("The chain leads to a root that is not trusted for this certificate: {observed}."),
        "not-everywhere": fails("The chain is trusted by {observed}; the policy requires {expected}."),
        "old-data": indeterminate(
            "The available lists of roots are too old to show that {missing} would not trust the chain: {observed}."
        ),
        "self-signed": fails("The certificate is self-signed: no CA vouches for it."),
        "root": not_applicable(
            "The file holds a root certificate, which programs that read the file trust without an issuer."
        ),
        "not-signed": fails("The chain leads to no trusted root: {observed}."),
        "unknown-issuer": fails("The chain leads to no trusted root; it ends at the unknown issuer {observed}."),
        "refused": fails("The chain leads to a root of the trust stores, but clients refuse it: {observed}."),
        "chain-incomplete": fails("The chain leads to no trusted root: an intermediate was not sent ({observed})."),
        "no-path": indeterminate("No path to a root was searched for."),
    },
    fix=fixes.TRUSTED,
    mistake=fixes.SELF_SIGNED,
    parameters=TrustParameters,
)
def _trusted(deployment: Deployment, facts: Facts, parameters: TrustParameters) -> list[Finding]:
    stores = [path.store_title for path in deployment.paths]
    expected = f"a path to a root of {listing(stores)}"
    if not stores:
        return [Finding("no-path")]
    trusting = [path.store for path in deployment.browser_paths if path.trusted]
    if trusting:
        return [_trusted_by(deployment, trusting, expected, facts.now, parameters)]
    if deployment.leaf.self_signed and deployment.leaf.is_ca and facts.target.endpoint.is_file:
        return [Finding("root", deployment.leaf.subject, expected)]
    if deployment.leaf.self_signed:
        return [Finding("self-signed", f"issued by itself: {deployment.leaf.subject}", expected)]
    last = deployment.chain[-1]
    if any(path.missing for path in deployment.paths):
        return [Finding("chain-incomplete", last.issuer, expected)]
    if refusing := [path.detail for path in deployment.paths if path.refused]:
        return [Finding("refused", listing(refusing), expected, severity=Severity.HIGH)]
    if unsigned := next((path.unsigned for path in deployment.paths if path.unsigned), ""):
        return [Finding("not-signed", unsigned, expected)]
    return [Finding("unknown-issuer", last.issuer, expected)]


def _trusted_by(
    deployment: Deployment, trusting: list[str], expected: str, now: datetime, parameters: TrustParameters
) -> Finding:
    """The finding for a chain that a configured store trusts: by whom else, and under what conditions."""
    side_by_side = {item.store: item for item in deployment.stores}
    mozilla = side_by_side.get("mozilla")
    if trusting == ["mozilla"] and mozilla is not None and mozilla.condition:
        # The roots of a package know no conditions.
        return Finding("distrusted", f"mozilla: {mozilla.condition}", expected, severity=Severity.HIGH)
    told = listing(map(title_of_store, trusting)) + _besides(deployment, trusting)
    missing = [name for name in parameters.stores if name in side_by_side and not side_by_side[name].trusted]
    if parameters.stores and not side_by_side:
        return not_observed(Failure(FailureReason.NOT_RUN, "who else trusts it"))
    if missing:
        values = {"missing": listing(missing)}
        if any(now - side_by_side[name].date > timedelta(days=parameters.list_days) for name in missing):
            return Finding("old-data", told, listing(parameters.stores), values=values)
        return Finding("not-everywhere", told, listing(parameters.stores), severity=Severity.HIGH, values=values)
    return Finding("trusted-completed" if deployment.completed else "trusted", told, expected)


def _besides(deployment: Deployment, trusting: list[str]) -> str:
    """Which browsers and platforms trust it as well and which do not, where any does, and of when their lists are."""
    others = [item for item in deployment.stores if item.store not in trusting]
    trusted = [item.store for item in others if item.trusted]
    if not trusted:
        return ""
    refusing = [item.store for item in others if not item.trusted]
    words = f"trusted too by {listing(trusted)}" + (f", not by {listing(refusing)}" if refusing else "")
    return f" ({words}; lists of {others[0].date:%Y-%m-%d})"


@rule(
    "cert.hostname",
    title="The certificate matches the host name",
    goal=Goal.AUTHENTICITY,
    severity=Severity.CRITICAL,
    of=Deployment,
    why="A certificate for another name identifies a different server; browsers reject it.",
    how="The host name or address is compared with the entries of subjectAltName, as RFC 9525 says: the common name "
    "does not count, an asterisk stands for exactly one whole left-most label, names are compared as A-labels.",
    sources=(rfc(9525, "6.3"), baseline("7.1.2.7.12")),
    reasons={
        "matches": passes("The certificate is for {expected}."),
        "other-names": fails("The certificate is not for {expected}, but for {observed}."),
        "no-names": fails("The certificate has no subjectAltName, so it matches no name."),
        "unreadable": fails("The subjectAltName of the certificate is malformed, so no client can read its names."),
    },
    fix=fixes.NAME,
    mistake=fixes.OLD,
)
def _hostname(deployment: Deployment, facts: Facts, parameters: Parameters) -> list[Finding]:
    host = facts.target.endpoint.host
    leaf = deployment.leaf
    if leaf.unreadable(Extension.SUBJECT_ALT_NAME):
        return [Finding("unreadable", "a malformed subjectAltName", host)]
    names = listing((*leaf.dns_names, *leaf.ip_addresses))
    if covers(leaf, host):
        return [Finding("matches", names, host)]
    return [Finding("other-names" if names else "no-names", names or "no names", host)]


@rule(
    "cert.valid-now",
    title="The certificate is valid today",
    goal=Goal.AUTHENTICITY,
    severity=Severity.CRITICAL,
    of=Deployment,
    why="Browsers reject a certificate outside its validity period, and after it has expired the CA no longer "
    "maintains its revocation status.",
    how="notBefore and notAfter of the certificate and of each intermediate on its path are compared with the time.",
    sources=(rfc(5280, "4.1.2.5"),),
    reasons={
        "valid": passes(
            "The certificates are within their validity periods; the server's certificate expires on {observed}."
        ),
        "expired": fails("The certificate expired on {observed}."),
        "not-yet-valid": fails("The certificate is not valid before {observed}."),
        "intermediate-expired": fails("An intermediate certificate expired: {observed}."),
        "intermediate-not-yet-valid": fails("An intermediate certificate is not valid yet: {observed}."),
    },
    fix=fixes.RENEW,
    mistake=fixes.OLD,
)
def _valid_now(deployment: Deployment, facts: Facts, parameters: Parameters) -> list[Finding]:
    now = facts.now
    expected = f"valid on {_day(now)}"
    leaf = deployment.leaf
    if now > leaf.not_after:
        return [Finding("expired", _day(leaf.not_after), expected)]
    if now < leaf.not_before:
        return [Finding("not-yet-valid", _day(leaf.not_before), expected)]
    # What was sent and is on no path does no harm by its age: an old cross-signed root is often left in.
    used = {fingerprint for path in deployment.browser_paths if path.trusted for fingerprint in path.path}
    above = [
        item for item in deployment.browser_chain[1:] if not item.self_signed and (not used or item.fingerprint in used)
    ]
    old = [f"{item.subject} on {_day(item.not_after)}" for item in above if now > item.not_after]
    early = [f"{item.subject} before {_day(item.not_before)}" for item in above if now < item.not_before]
    if (old or early) and not deployment.paths:
        return [not_observed(Failure(FailureReason.NOT_RUN, "whether a path uses one outside its validity period"))]
    if old:
        return [Finding("intermediate-expired", listing(old), expected)]
    if early:
        return [Finding("intermediate-not-yet-valid", listing(early), expected)]
    return [Finding("valid", _day(leaf.not_after), expected)]


class ExpiryParameters(Parameters):
    """Parameters of cert.expiry."""

    days: int = 30
    """Fewer days left than this fail."""
    urgent_days: int = 7
    """Fewer days left than this fail at a severity one step higher."""
    lifetime_fraction: float = 0.5
    """Short-lived certificates are warned of later: when less than this fraction of their lifetime is left."""


@rule(
    "cert.expiry",
    title="The certificate will not expire soon",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    of=Deployment,
    why="An expired certificate takes the service down for everybody, usually on a weekend.",
    how="The days until notAfter are counted. For a certificate with a lifetime of less than 60 days, only the second "
    "half of the lifetime is taken into account.",
    sources=(rfc(5280, "4.1.2.5"), baseline("6.3.2")),
    reasons={
        "enough-time": passes("The certificate has {observed} left."),
        "expires-soon": fails("The certificate has {observed} left, until {day}."),
        "expires-very-soon": fails("The certificate has only {observed} left, until {day}."),
        "expired": fails("The certificate expired on {day}."),
    },
    fix=fixes.RENEW,
    mistake=fixes.OLD,
    parameters=ExpiryParameters,
)
def _expiry(deployment: Deployment, facts: Facts, parameters: ExpiryParameters) -> list[Finding]:
    leaf = deployment.leaf
    left = leaf.not_after - facts.now
    lifetime = leaf.not_after - leaf.not_before
    scale = parameters.lifetime_fraction
    warning = min(timedelta(days=parameters.days), lifetime * scale)
    urgent = min(timedelta(days=parameters.urgent_days), warning / 2)
    days = left // _DAY
    observed, expected = counted(max(days, 0), "day"), f"{counted(-(-warning // _DAY), 'day')} or more"
    values = {"day": _day(leaf.not_after)}
    if left < timedelta(0):
        return [Finding("expired", "expired", expected, severity=Severity.HIGH, values=values)]
    if left < urgent:
        return [Finding("expires-very-soon", observed, expected, severity=Severity.HIGH, values=values)]
    if left < warning:
        return [Finding("expires-soon", observed, expected, values=values)]
    return [Finding("enough-time", observed, expected, values=values)]


def _day(time: datetime) -> str:
    return f"{time:%Y-%m-%d}"
