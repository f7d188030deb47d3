"""Waivers: failures that somebody accepts, for a reason and until a day."""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from scanner.hostname import normalised_pattern
from scanner.inventory import CLIENT_FILE, FILE, address_of, file_host
from scanner.judgement import AppliedWaiver, Severity, Status

if TYPE_CHECKING:
    from scanner.verdict import Verdict

_SEPARATOR = re.compile(r"[\s,;()]+")


@dataclass(frozen=True, slots=True)
class Waiver:
    """An accepted failure.

    `rule` is a rule id and `scope` is `environment[/host[:port]][/path]`, or `environment/file:NAME` for a file with
    certificates; both may be globs. `expires` is the last day on which it waives. `until_worse` limits it to failures
    that are no worse than it says: a severity, a reason's slug, or what may be observed (`tls1.1 tls1.2`), of which
    anything else that was observed is worse.
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
        scope = scope_of(self.scope)
        return (
            _matcher(self.rule)(rule_id)
            and scope.covers(environment, host, port)
            and (scope.path is None or _matcher(scope.path)(subject))
        )

    def within(self, environment: str) -> bool:
        """Whether an environment is within the waiver's scope, in part at least."""
        return scope_of(self.scope).within(environment)

    def accepts(self, verdict: Verdict) -> bool:
        """Whether a verdict within the scope is a failure that is no worse than was accepted."""
        if verdict.status is not Status.FAIL:
            return False
        limit = self.until_worse
        if limit is None or verdict.reason == limit:
            return True
        if limit in set(Severity):
            return verdict.severity <= Severity(limit)
        return words(verdict.observed) <= words(limit)

    def expired(self, today: date) -> bool:
        """Whether it no longer waives."""
        return today > self.expires


class Scope(Struct, frozen=True):
    """A scope in its parts: globs, in the spelling of hosts. `place` is `host` or `host:port`, empty for every host."""

    environment: str
    place: str
    path: str | None

    def within(self, environment: str) -> bool:
        """Whether an environment lies within it, in part at least."""
        return _matcher(self.environment)(environment)

    def covers(self, environment: str, host: str, port: int) -> bool:
        """Whether an endpoint lies within it, as far as environment, host and port say."""
        return self.within(environment) and self.has_place(host, address_of(host, port))

    def has_place(self, host: str, address: str) -> bool:
        """Whether a host, with its `host:port`, lies within it, whatever the environment."""
        # An IPv6 literal holds glob characters when in brackets; as it is written it means itself.
        if not self.place or self.place in (address, host):  # two comparisons, for thousands of hosts
            return True
        matches = _matcher(self.place)
        return matches(address) or matches(host)


@functools.lru_cache(maxsize=4096)
def scope_of(text: str) -> Scope:
    """Take a scope apart: its host is spelled as hosts are in the inventory, and a file as the configuration names it.

    Raises:
        HostError: its host is not one.
    """
    environment, _, rest = text.partition("/")
    if rest.startswith((FILE, CLIENT_FILE)):
        # A file's name holds slashes, blanks and capitals, and has no path of HTTP behind it.
        return Scope(environment, file_host(rest), None)
    place, slash, path = rest.partition("/")
    return Scope(environment, normalised_pattern(place), f"/{path}" if slash else None)


@functools.lru_cache(maxsize=4096)
def _matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a text matches a glob; upper and lower case are told apart."""
    compiled = re.compile(fnmatch.translate(pattern))
    return lambda text: compiled.match(text) is not None


def words(text: str) -> set[str]:
    """What was observed as single words, in lower case."""
    return set(_SEPARATOR.split(text.lower())) - {""}
