"""Does the chain hold as long as the server's own certificate?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from scanner.counting import counted
from scanner.evidence import Deployment
from scanner.rules.certificates import fixes
from scanner.rules.certificates.leaves import CERTIFICATES_HOW, sent_path
from scanner.rules.registry import (
    Facts,
    Finding,
    Parameters,
    fails,
    indeterminate,
    not_applicable,
    passes,
    rule,
    untried,
)
from scanner.rules.registry.sources import rfc
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from datetime import datetime

    from scanner.evidence import Certificate

_DAY = timedelta(days=1)


class ChainExpiryParameters(Parameters):
    """Parameters of cert.chain-expiry."""

    days: int = 30
    """An intermediate that has fewer days left than this, and ends before the leaf, fails at the full severity."""
    urgent_days: int = 7
    """Fewer days left than this fail at a severity one step higher."""


@rule(
    "cert.chain-expiry",
    title="No intermediate certificate expires before the server's own",
    goal=Goal.AUTHENTICITY,
    severity=Severity.MEDIUM,
    of=Deployment,
    why="The service fails when the first certificate of its chain expires, and the dates of the others are easily "
    "overlooked.",
    how=CERTIFICATES_HOW + " On each path to a root of the trust stores, the certificate that expires first is "
    "determined, then the root; of several paths, the one that is valid longest counts, and paths are also "
    "searched for at later times. For a client certificate whose root is in no trust store, the certificates "
    "above it in its file count.",
    sources=(rfc(5280, "6.1.3"), rfc(5280, "4.1.2.5")),
    reasons={
        "leaf-ends-first": passes(
            "Every intermediate is valid at least as long as the server's certificate: {observed}."
        ),
        "ends-before": fails("{name} expires {days} before the server's certificate, on {observed}; {left} are left."),
        "ended": fails("{name} expired on {observed}, {days} before the server's certificate."),
        "root-ends": fails(
            "The root {name} expires {days} before the server's certificate, on {observed}; {left} are left. OpenSSL "
            "and programs built on it will then reject the chain."
        ),
        "untrusted": not_applicable("No path leads to a trusted root; cert.trusted reports that."),
        "no-path": indeterminate("No path to a root was searched for."),
    },
    fix=fixes.CHAIN_EXPIRY,
    mistake=untried("the advice is a newer intermediate, installed as that of cert.chain-order"),
    parameters=ChainExpiryParameters,
)
def _chain_expiry(deployment: Deployment, facts: Facts, parameters: ChainExpiryParameters) -> list[Finding]:
    if not deployment.paths:
        return [Finding("no-path")]
    leaf, ends = deployment.leaf, deployment.ends_first
    if ends is None and facts.target.endpoint.is_client_file:
        # Which roots the server trusts that asks for it is not known here: what is in the file has to hold.
        above = [item for item in sent_path(deployment.chain) if not item.self_signed]
        ends = min(above or [leaf], key=lambda item: item.not_after)
    if ends is None:
        return [Finding("untrusted")]
    day = f"{ends.not_after:%Y-%m-%d}"
    expected = f"{leaf.not_after:%Y-%m-%d} or later"
    root = _root_that_lasts(deployment)
    if root is not None and root[1] < min(ends.not_after, leaf.not_after):
        name, end = root
        values = _values(name, end, leaf, facts.now)
        soon = end - facts.now < timedelta(days=parameters.days)
        severity = Severity.MEDIUM if soon else Severity.LOW
        return [Finding("root-ends", f"{end:%Y-%m-%d}", expected, severity=severity, values=values)]
    if ends.not_after >= leaf.not_after:
        return [Finding("leaf-ends-first", day, expected)]
    left = ends.not_after - facts.now
    values = _values(ends.subject, ends.not_after, leaf, facts.now)
    if left < timedelta(0):
        return [Finding("ended", day, expected, severity=Severity.HIGH, values=values)]
    severity = Severity.LOW
    if left < timedelta(days=parameters.days):
        severity = Severity.HIGH if left < timedelta(days=parameters.urgent_days) else Severity.MEDIUM
    return [Finding("ends-before", day, expected, severity=severity, values=values)]


def _root_that_lasts(deployment: Deployment) -> tuple[str, datetime] | None:
    """The root that holds longest of those to which paths lead; None where the end of one is not known."""
    roots = [(path.root, path.root_ends) for path in deployment.browser_paths if path.trusted]
    known = [(name, end) for name, end in roots if end is not None]
    return max(known, key=lambda item: item[1]) if known and len(known) == len(roots) else None


def _values(name: str, end: datetime, leaf: Certificate, now: datetime) -> dict[str, str]:
    return {
        "name": name,
        "days": counted((leaf.not_after - end) // _DAY, "day"),
        "left": counted(max((end - now) // _DAY, 0), "day"),
    }
