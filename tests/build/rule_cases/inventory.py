"""Names that nobody configured."""

from __future__ import annotations

from tests.build.facts import HOST, TIMED_OUT, World, certificate, deployment, tls
from tests.build.rule_cases.case import Case

_OURS = {"known_hosts": frozenset({HOST, "other.example.com"})}


def _named(reason: str, *names: str, **own: object) -> Case:
    world = World(tls=tls(deployment(certificate(dns_names=names))), environment=_OURS)
    return Case("inventory.unlisted-name", reason, world, **own)  # type: ignore[arg-type]  # any field of a case


CASES = (
    _named("all-listed", HOST, "OTHER.example.com", "*.example.com"),
    _named("unlisted", HOST, "forgotten.example.com", observed="forgotten.example.com"),
    _named("no-names", "*.example.com"),
    Case("inventory.unlisted-name", "no-inventory"),
    Case("inventory.unlisted-name", "not-observed", World(tls=tls(certificates=TIMED_OUT), environment=_OURS)),
)
