"""Whether inventories hold as many hosts as their owners expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.rules.registry import Facts, Finding, Fix, Parameters, Proof, fails, not_applicable, passes, rule, untried
from scanner.rules.registry.sources import CIS_INVENTORY
from scanner.verdict import Goal, Severity

if TYPE_CHECKING:
    from scanner.inventory import Environment


@rule(
    "inventory.expected-count",
    title="The inventory has as many hosts as expected",
    goal=Goal.ENFORCEMENT,
    severity=Severity.INFO,
    proof=Proof.SINGULAR,
    why="A truncated export or a forgotten filter drops hosts from the inventory without an error.",
    how="The hosts that each inventory file gives the environment are counted, and compared with its expected_count. "
    "It is judged at the first endpoint of the environment and not repeated at the others.",
    sources=(CIS_INVENTORY,),
    reasons={
        "as-expected": passes("Every inventory file has as many hosts as expected."),
        "unexpected-count": fails("The inventory has another number of hosts than expected: {observed}."),
        "no-count": not_applicable("No inventory file of the environment has an expected_count."),
        "judged-once": not_applicable("It is judged once for the environment, at the first of its endpoints."),
    },
    fix=Fix("Export the inventory again, or set expected_count to the present number of hosts."),
    mistake=untried("how many hosts an inventory has is Nightseal's own configuration"),
)
def _expected_count(facts: Facts, parameters: Parameters) -> list[Finding]:
    sources = [item for item in facts.environment.sources if item.expected is not None]
    if not sources:
        return [Finding("no-count")]
    first = _first(facts.environment)
    if first not in {None, facts.target.endpoint.id}:
        return [Finding("judged-once")]
    wrong = [item for item in sources if not item.as_expected]
    if not wrong:
        return [Finding("as-expected")]
    observed = ", ".join(f"{item.name} has {item.hosts}" for item in wrong)
    return [Finding("unexpected-count", observed, ", ".join(f"{item.expected} in {item.name}" for item in wrong))]


def _first(environment: Environment) -> str | None:
    return environment.endpoints[0].id if environment.endpoints else None
