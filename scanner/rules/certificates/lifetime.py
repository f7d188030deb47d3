"""How long a certificate lives, by the limits in force when it was issued, and at its next renewal."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from scanner.counting import counted
from scanner.evidence import Deployment
from scanner.rules.certificates import fixes
from scanner.rules.certificates.leaves import CERTIFICATES_HOW
from scanner.rules.registry import Facts, Finding, IssuerParameters, Parameters, fails, not_applicable, passes, rule
from scanner.rules.registry.sources import baseline
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from scanner.evidence import Certificate

_DAY = timedelta(days=1)


class Limit(Parameters):
    """A longest lifetime, by the day of issue."""

    since: date
    """First day on which the limit holds, in UTC."""
    days: int
    """Days of 86,400 seconds."""


BASELINE_LIMITS = (
    Limit(since=date(1, 1, 1), days=825),
    Limit(since=date(2020, 9, 1), days=398),
    Limit(since=date(2026, 3, 15), days=200),
    Limit(since=date(2027, 3, 15), days=100),
    Limit(since=date(2029, 3, 15), days=47),
)
"""CA/Browser Forum Baseline Requirements section 6.3.2 (ballot SC-081v3)."""


class LifetimeParameters(IssuerParameters):
    """Parameters of cert.lifetime and cert.renewal-ready. Private CAs are judged at a severity one step lower."""

    limits: tuple[Limit, ...] = BASELINE_LIMITS
    """The longest lifetimes, by the day of issue."""


class RenewalParameters(LifetimeParameters):
    """Parameters of cert.renewal-ready."""

    renew_before_days: int = 30
    """How many days before its end a certificate is taken to be renewed; of a short-lived one, a third of its life."""


def _lifetime(certificate: Certificate) -> timedelta:
    """As notAfter is the last second of validity, that second counts too (RFC 5280 section 4.1.2.5)."""
    return certificate.not_after - certificate.not_before + timedelta(seconds=1)


def _limit_at(limits: tuple[Limit, ...], time: datetime) -> Limit | None:
    day = time.astimezone(UTC).date()
    in_force = [limit for limit in limits if limit.since <= day]
    return max(in_force, key=lambda limit: limit.since, default=None)


def _days(lifetime: timedelta) -> str:
    return counted(-(-lifetime // _DAY), "day")


def _severity(deployment: Deployment) -> Severity | None:
    """The limits bind public CAs alone; for a private one they are advice."""
    return None if deployment.publicly_trusted else Severity.LOW


@rule(
    "cert.lifetime",
    title="The certificate's lifetime is within the limit",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    of=Deployment,
    why="A certificate that was issued in error, or whose key leaked, is trusted until it expires, because revocation "
    "hardly works. Browsers reject public certificates whose lifetime exceeds the limit.",
    how=CERTIFICATES_HOW + " notAfter less notBefore, and one second, is compared with the limit that was in force at "
    "notBefore.",
    sources=(baseline("6.3.2"),),
    reasons={
        "within": passes(
            "The certificate's lifetime is {observed}; at most {expected} were allowed when it was issued."
        ),
        "too-long": fails(
            "The certificate's lifetime is {observed}; at most {expected} were allowed when it was issued."
        ),
        "no-limit": not_applicable("The policy has no limit for certificates issued on that day."),
    },
    fix=fixes.LIFETIME,
    parameters=LifetimeParameters,
)
def _judge_lifetime(deployment: Deployment, facts: Facts, parameters: LifetimeParameters) -> list[Finding]:
    limit = _limit_at(parameters.limits, deployment.leaf.not_before)
    if limit is None:
        return [Finding("no-limit")]
    lifetime = _lifetime(deployment.leaf)
    observed, expected = _days(lifetime), counted(limit.days, "day")
    if lifetime > limit.days * _DAY:
        return [Finding("too-long", observed, expected, severity=_severity(deployment))]
    return [Finding("within", observed, expected)]


@rule(
    "cert.renewal-ready",
    title="The next renewal will meet the limit in force by then",
    goal=Goal.AUTHENTICITY,
    severity=Severity.LOW,
    of=Deployment,
    why="The limits shrink on fixed dates, to 47 days in 2029. A certificate that is renewed by hand once a year will "
    "then be rejected by browsers, or will expire.",
    how=CERTIFICATES_HOW + " The next certificate is assumed to have the lifetime of the present one, which is "
    "compared with the limit that will be in force when the next one is due.",
    sources=(baseline("6.3.2"),),
    reasons={
        "ready": passes("Renewed with its present lifetime ({observed}), the certificate meets every known limit."),
        "ready-until": passes(
            "Renewed with its present lifetime ({observed}), it meets the limit until {day}, when the limit becomes "
            "{limit}."
        ),
        "too-long": fails(
            "Renewed with its present lifetime ({observed}) on about {renewal}, it will exceed the limit of {limit}, "
            "which takes effect on {day}."
        ),
    },
    fix=fixes.LIFETIME,
    parameters=RenewalParameters,
)
def _judge_renewal(deployment: Deployment, facts: Facts, parameters: RenewalParameters) -> list[Finding]:
    leaf = deployment.leaf
    lifetime = _lifetime(leaf)
    renewal = max(facts.now, leaf.not_after - min(timedelta(days=parameters.renew_before_days), lifetime / 3))
    observed = _days(lifetime)
    limit = _limit_at(parameters.limits, renewal)
    if limit is not None and lifetime > limit.days * _DAY:
        values = {"limit": counted(limit.days, "day"), "day": limit.since, "renewal": f"{renewal:%Y-%m-%d}"}
        return [Finding("too-long", observed, f"at most {limit.days} days", values=values)]
    later = sorted(
        (item for item in parameters.limits if item.since > renewal.date() and lifetime > item.days * _DAY),
        key=lambda item: item.since,
    )
    if later:
        values = {"limit": counted(later[0].days, "day"), "day": later[0].since}
        return [Finding("ready-until", observed, f"at most {later[0].days} days", values=values)]
    return [Finding("ready", observed, "every known limit")]
