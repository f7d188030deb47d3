"""Waivers: failures that somebody accepts, for a reason and until a day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Waiver:
    """An accepted failure.

    `rule` is a rule id and `scope` is `environment[/host[:port]][/path]`; both may be globs. `expires` is the last day
    on which it waives. `until_worse` limits it to failures whose observation it names: what is worse is not waived.
    """

    rule: str
    scope: str
    reason: str
    owner: str
    expires: date
    until_worse: str | None = None

    def covers(self, rule_id: str, environment: str, host: str, port: int) -> bool:
        """Whether rule and target lie within the waiver's scope, whatever the date."""
        if not fnmatchcase(rule_id, self.rule):
            return False
        wanted_environment, _, rest = self.scope.partition("/")
        if not fnmatchcase(environment, wanted_environment):
            return False
        if not rest:
            return True
        # An IPv6 literal holds glob characters when in brackets; both spellings are tried.
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return rest in {address, host} or fnmatchcase(address, rest) or fnmatchcase(host, rest)

    def expired(self, today: date) -> bool:
        """Whether it no longer waives."""
        return today > self.expires
