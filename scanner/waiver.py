"""Waivers: failures that somebody accepts, for a reason and until a day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase

from scanner.inventory import address_of
from scanner.verdict import AppliedWaiver, Severity, Status, Verdict

_SEPARATOR = re.compile(r"[\s,;()]+")


@dataclass(frozen=True, slots=True)
class Waiver:
    """An accepted failure.

    `rule` is a rule id and `scope` is `environment[/host[:port]][/path]`; both may be globs. `expires` is the last day
    on which it waives. `until_worse` limits it to failures that are no worse than it says: a severity, a reason's slug,
    or what may be observed (`tls1.1 tls1.2`), of which anything else that was observed is worse.
    """

    rule: str
    scope: str
    reason: str
    owner: str
    expires: date
    until_worse: str | None = None

    @property
    def applied(self) -> AppliedWaiver:
        """What a waived verdict carries."""
        return AppliedWaiver(self.reason, self.owner, self.expires)

    def covers(self, rule_id: str, environment: str, host: str, port: int, subject: str = "") -> bool:
        """Whether rule and target lie within the waiver's scope, whatever the date.

        A scope without a path covers every subject of the target; one with a path, only that of a verdict on a path.
        """
        if not fnmatchcase(rule_id, self.rule):
            return False
        if not self.within(environment):
            return False
        rest = self.scope.partition("/")[2]
        place, slash, path = rest.partition("/")
        if slash and not fnmatchcase(subject, f"/{path}"):
            return False
        if not place:
            return True
        # An IPv6 literal holds glob characters when in brackets; both spellings are tried.
        address = address_of(host, port)
        return place in {address, host} or fnmatchcase(address, place) or fnmatchcase(host, place)

    def within(self, environment: str) -> bool:
        """Whether an environment is within the waiver's scope, in part at least."""
        return fnmatchcase(environment, self.scope.partition("/")[0])

    def accepts(self, verdict: Verdict) -> bool:
        """Whether a verdict within the scope is a failure that is no worse than was accepted."""
        if verdict.status is not Status.FAIL:
            return False
        limit = self.until_worse
        if limit is None or verdict.reason == limit:
            return True
        if limit in set(Severity):
            return verdict.severity <= Severity(limit)
        return _words(verdict.observed) <= _words(limit)

    def expired(self, today: date) -> bool:
        """Whether it no longer waives."""
        return today > self.expires


def _words(text: str) -> set[str]:
    return set(_SEPARATOR.split(text.lower())) - {""}
