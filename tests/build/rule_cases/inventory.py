"""Names that nobody configured, and inventories that lack some."""

from __future__ import annotations

from scanner.inventory import Endpoint, InventorySource
from tests.build.facts import HOST, TIMED_OUT, World, certificate, deployment, tls
from tests.build.rule_cases.case import Case

_OURS = {"known_hosts": frozenset({HOST, "other.example.com"})}


def _named(reason: str, *names: str, **own: object) -> Case:
    world = World(tls=tls(deployment(certificate(dns_names=names))), environment=_OURS)
    return Case("inventory.unlisted-name", reason, world, **own)  # type: ignore[arg-type]  # any field of a case


def _counted(reason: str, *sources: InventorySource, first: str = HOST, **own: object) -> Case:
    environment = {"sources": sources, "endpoints": (Endpoint("production", first, 443),)}
    return Case("inventory.expected-count", reason, World(environment=environment), **own)  # type: ignore[arg-type]  # the same


CASES = (
    _counted("as-expected", InventorySource("hosts.csv", 9, 9), InventorySource("others.csv", 2)),
    _counted(
        "unexpected-count",
        InventorySource("hosts.csv", 498, 500),
        InventorySource("zone.db", 12, 12),
        observed="hosts.csv has 498",
    ),
    _counted("no-count", InventorySource("hosts.csv", 9)),
    _counted("judged-once", InventorySource("hosts.csv", 498, 500), first="another.example.com"),
    _named("all-listed", HOST, "OTHER.example.com", "*.example.com"),
    _named("unlisted", HOST, "forgotten.example.com", observed="forgotten.example.com"),
    _named("no-names", "*.example.com"),
    Case("inventory.unlisted-name", "no-inventory"),
    Case("inventory.unlisted-name", "not-observed", World(tls=tls(certificates=TIMED_OUT), environment=_OURS)),
)
