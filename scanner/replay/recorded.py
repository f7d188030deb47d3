"""Stored targets made judgeable again: what a record holds of environments and endpoints, and what it does not.

The history keeps evidence whole, but of an application only its name. Where the configuration at hand is the one that
the run was made with (its digest says so), it is asked; where it is not, the rules that would need it are indeterminate
for that reason, and the others are judged from what is recorded.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from scanner.evidence import Attempt, TargetEvidence
from scanner.inventory import (
    Address,
    Application,
    ApplicationKind,
    Console,
    Endpoint,
    Environment,
    EnvironmentKind,
    Role,
    Target,
)
from scanner.rules import Observed
from scanner.verdict import Status, TargetStatus, Trigger, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scanner.inventory import Inventory
    from scanner.verdict import Run, RunRecord, TargetResult

BY_ENVIRONMENT: Final = frozenset({"cert.domain"})
"""Rules that ask for the environment's domains, which are not recorded; on premises there are none."""

BY_APPLICATION: Final = frozenset(
    {
        "https.always",
        "https.client-certificate",
        "https.integration",
        "https.path",
        "https.redirect",
    }
)
"""Rules that ask for the settings of applications and their environment, where any application is at the endpoint."""

BY_INVENTORY: Final = frozenset({"inventory.expected-count", "inventory.unlisted-name"})
"""Rules that ask for the whole configuration, whatever the environment."""

NOT_RECORDED: Final = "not-recorded"
"""The reason of a verdict that only the configuration of that run could give."""


class Recorded(Struct, frozen=True):
    """A stored run that can be judged again.

    `without_evidence` holds ids of targets whose evidence is no longer kept; `unconfigured` maps ids of targets to the
    rules that cannot be judged there, because the settings that they ask for were not recorded.
    """

    observed: tuple[Observed, ...]
    environments: Mapping[str, Environment]
    without_evidence: frozenset[str] = frozenset()
    unconfigured: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)

    def judgeable(self, target_id: str, verdict: Verdict) -> Verdict:
        """The verdict itself, or that it cannot be told, where it rests on settings that nobody has any more."""
        if verdict.rule not in self.unconfigured.get(target_id, ()):
            return verdict
        return dataclasses.replace(
            verdict,
            status=Status.INDETERMINATE,
            reason=NOT_RECORDED,
            message="The configuration of that run is not available, and the history does not record what it demanded.",
            observed="",
            expected="",
            waiver=None,
        )


def recorded(record: RunRecord, inventory: Inventory | None) -> Recorded:
    """Make a stored run judgeable. `inventory` is the configuration's where it is the run's own, else None."""
    gone = frozenset(target.id for target in record.targets if evidence_is_gone(target))
    kept = [target for target in record.targets if target.id not in gone]
    configured = _configured(inventory)
    observed: list[Observed] = []
    unconfigured: dict[str, frozenset[str]] = {}
    environments: dict[str, Environment] = {}
    for target in kept:
        known = configured.get((target.environment, target.host, target.port))
        environment, endpoint = known or _rebuilt(target)
        environments[target.environment] = environment
        observed.append(Observed(Target(endpoint, _address(target)), _evidence(target, record.run)))
        if known is None and not _complete(target, record.run):
            unconfigured[target.id] = _unjudgeable(target)
    return Recorded(tuple(observed), environments, gone, unconfigured)


def evidence_is_gone(target: TargetResult) -> bool:
    """Whether there was evidence once; of a target that gave no answer, the failure alone says it all."""
    return target.evidence is None and target.status is not TargetStatus.UNREACHABLE


def _unjudgeable(target: TargetResult) -> frozenset[str]:
    rules = BY_INVENTORY | (BY_APPLICATION if target.applications else frozenset())
    return rules if target.environment_kind is EnvironmentKind.ON_PREMISES else rules | BY_ENVIRONMENT


def _configured(inventory: Inventory | None) -> dict[tuple[str, str, int], tuple[Environment, Endpoint]]:
    return {
        (environment.name, endpoint.host, endpoint.port): (environment, endpoint)
        for environment in (inventory.environments if inventory else ())
        for endpoint in environment.endpoints
    }


def _complete(target: TargetResult, run: Run) -> bool:
    """Whether the record says all there was: a host named on the command line has no settings."""
    return run.trigger is Trigger.AD_HOC and not target.applications


def _consoles(target: TargetResult) -> tuple[Console, ...]:
    """Consoles as far as they were judged: the paths of those verdicts, which their role does not change."""
    judged = [item for item in target.verdicts if item.rule == "https.console" and item.reason != "no-console"]
    role = target.role if target.role.is_console else Role.MONITORING
    paths = tuple(dict.fromkeys(item.subject or "/" for item in judged))
    return (Console(role, paths),) if paths and (target.applications or paths != ("/",)) else ()


def _rebuilt(target: TargetResult) -> tuple[Environment, Endpoint]:
    """Environment and endpoint as far as they are recorded; what is not stands at its default, and is not judged by."""
    endpoint = Endpoint(
        environment=target.environment,
        host=target.host,
        port=target.port,
        role=target.role,
        http_port=target.http_port,
        starttls=target.starttls,
        applications=tuple(Application(name, ApplicationKind.TRADITIONAL_WEB) for name in target.applications),
        consoles=_consoles(target),
        implied_by=target.implied_by,
    )
    kind = target.environment_kind or EnvironmentKind.PAAS
    return Environment(target.environment, kind), endpoint


def _address(target: TargetResult) -> Address | None:
    # Behind a proxy, which resolves names itself, a target is at its name.
    named = target.host if target.id == f"{target.endpoint}@{target.host}" else None
    at = target.ip or named
    return Address(at, target.port, target.http_port) if at else None


def _evidence(target: TargetResult, run: Run) -> TargetEvidence:
    """What was seen; of a target that gave no answer, its failure in every place."""
    if target.evidence is not None:
        return target.evidence
    failure = target.error
    return TargetEvidence(run.started_at, 0.0, 0, Attempt(failure=failure), Attempt(failure=failure))
