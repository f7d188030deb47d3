"""Where a run looked from, and what of ours it did not look at: what its results can and cannot say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class Vantage:
    """Where a run looked from. What a firewall lets through, and what a name resolves to, depends on it.

    Attributes:
        name: what the place is called (`[scan] vantage`); empty where nobody named it.
        addresses: addresses of this machine that connections to the targets leave from.
        networks: the networks of those addresses, as CIDR.
        resolvers: name servers that this machine asks; none where a proxy resolves the names.
        proxy: the proxy that carries every connection, without user and password; empty where there is none.
    """

    name: str = ""
    addresses: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
    proxy: str = ""


class Uncovered(StrEnum):
    """Why something of ours was not looked at."""

    NOT_TAKEN = "not-taken"
    """A host in an inventory file that no environment takes."""
    UNLISTED_NAME = "unlisted-name"
    """A name in a served certificate that is not configured."""
    UNLISTED_REDIRECT = "unlisted-redirect"
    """A redirect to a host of ours that is not configured."""
    NO_CONSOLE = "no-console"
    """An environment with applications, of which no console is configured, though one is to be expected: another
    environment has one, or this one is on a platform (`default_domain`)."""
    UNEXPECTED_COUNT = "unexpected-count"
    """An inventory file with another number of hosts than were expected."""


@dataclass(frozen=True, slots=True)
class NotCovered:
    """One thing that was not looked at because nobody configured it.

    Attributes:
        reason: why.
        environment: the environment that it belongs to, as far as anything says so.
        host: the host; empty where it is not about one.
        found: where that was seen: an endpoint, a file and its line, or numbers.
    """

    reason: Uncovered
    environment: str
    host: str = ""
    found: str = ""


MOST_NOT_COVERED: Final = 1000
"""How many a run lists; it counts all of them."""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of a run that a report is about: of one environment, of what an owner answers for, of what has labels.

    `rules` and `skipped` are globs of the rules that it was judged by, and of those that it was not judged by.
    """

    environment: str | None = None
    owner: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    rules: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def by_endpoint(self) -> bool:
        """Whether it is chosen among the endpoints of an environment."""
        return self.owner is not None or bool(self.labels)
