"""What the rules on other ways to a host say where not all certificates were seen."""

from __future__ import annotations

from scanner.evidence import Attempt, Failure, FailureReason, FrontDoors, Http3
from scanner.rules import get_rule
from tests.build.facts import World, deployment, facts, hop, tls

_STRANGE = FrontDoors(http3=Attempt.ok(Http3(("alt-svc",), 443, 200, "00" * 32, hop().hsts)))


def reason(world: World) -> str:
    rule = get_rule("https.http3")
    (finding,) = rule.check(facts(world), rule.parameters())
    return finding.reason


def test_a_certificate_that_nobody_saw_may_be_one_of_those_that_were_not_looked_for() -> None:
    cut = Attempt((deployment(),), None, Failure(FailureReason.DEADLINE))
    assert reason(World(doors=_STRANGE)) == "other-certificate"
    assert reason(World(doors=_STRANGE, tls=tls(certificates=cut))) == "not-observed"
