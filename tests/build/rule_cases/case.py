"""What a case is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scanner.verdict import Severity
from tests.build.facts import World, tls


@dataclass(frozen=True)
class Case:
    """The rule, the reason that it must give for the world, and what else must be so; its sentence holds what it `says`."""

    rule: str
    reason: str
    world: World = field(default_factory=World)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity | None = None
    subjects: tuple[str, ...] | None = None
    observed: str | None = None
    expected: str | None = None
    says: str = ""

    def __str__(self) -> str:
        return f"{self.rule}:{self.reason}"


def of_tls(rule: str, reason: str, *deployments: Any, **changes: Any) -> Case:
    """A case about TLS alone; what is no field of the case is a change of the evidence."""
    own = {
        name: changes.pop(name)
        for name in ("parameters", "severity", "observed", "expected", "says", "subjects")
        if name in changes
    }
    return Case(rule, reason, World(tls=tls(*deployments, **changes)), **own)
