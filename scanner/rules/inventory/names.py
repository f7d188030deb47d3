"""Names that servers show and that no environment has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scanner.evidence import Deployment
from scanner.hostname import HostError, normalised
from scanner.rules.registry import Facts, Finding, Fix, Parameters, fails, not_applicable, passes, rule, untried
from scanner.rules.registry.listing import listing
from scanner.rules.registry.sources import CIS_INVENTORY
from scanner.verdict import Goal, Severity


@rule(
    "inventory.unlisted-name",
    title="Every name in the certificate is configured",
    goal=Goal.ENFORCEMENT,
    severity=Severity.INFO,
    of=Deployment,
    why="A name in one of your certificates that is not configured is a host of yours that is never scanned.",
    how="The names of each certificate that is served are compared with the hosts of all environments, except "
    "wildcards.",
    sources=(CIS_INVENTORY,),
    reasons={
        "all-listed": passes("Every name in the certificate is a configured host."),
        "unlisted": fails("The certificate names hosts that are in no environment: {observed}."),
        "no-names": not_applicable("The certificate names no host but by wildcards."),
        "no-inventory": not_applicable("No configuration lists which hosts are yours."),
    },
    fix=Fix("Configure the hosts that are yours; remove names from the certificate that are not, or no longer are."),
    mistake=untried("what a certificate names is in the certificate, and what is configured is Nightseal's own"),
)
def _unlisted_name(deployment: Deployment, facts: Facts, parameters: Parameters) -> list[Finding]:
    known = facts.environment.known_hosts
    if known is None:
        return [Finding("no-inventory")]
    named = list(hosts_in(deployment.leaf.dns_names))
    if not named:
        return [Finding("no-names")]
    unlisted = sorted(set(named) - known)
    return [Finding("unlisted", listing(unlisted), "only configured hosts")] if unlisted else [Finding("all-listed")]


def hosts_in(names: Iterable[str]) -> Iterator[str]:
    """The hosts among the names of a certificate, in one spelling; wildcards are none."""
    for name in names:
        if "*" not in name:
            try:
                yield normalised(name)
            except HostError:
                continue  # what it is, cert.hostname and the facts say
