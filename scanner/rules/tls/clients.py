"""Do the clients connect for whom the server is there?"""

from __future__ import annotations

from fnmatch import fnmatchcase

from pydantic import field_validator

from scanner.clients import Outcome, all_clients, connect, server_of
from scanner.errors import nearest
from scanner.evidence import TlsEvidence
from scanner.rules.registry import (
    Facts,
    Finding,
    Fix,
    Parameters,
    fails,
    indeterminate,
    not_applicable,
    passes,
    rule,
)
from scanner.rules.registry.listing import listing
from scanner.rules.registry.rule import Proof, untried
from scanner.rules.registry.sources import rfc
from scanner.verdict import Goal, Severity


class ClientParameters(Parameters):
    """Parameters of clients.supported."""

    clients: tuple[str, ...] = ()
    """Who has to connect, by id or glob as `nightseal clients` lists them: "java-8", "android-*"."""

    @field_validator("clients")
    @classmethod
    def _known(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        """A glob that stands for no client would demand nothing, and look as if it did."""
        for glob in globs:
            if not _matching(glob):
                message = (
                    f"{glob!r} is not a client that is known ({nearest(glob, all_clients()) or 'nightseal clients'})"
                )
                raise ValueError(message)
        return globs


def _matching(glob: str) -> list[str]:
    return [one for one in all_clients() if fnmatchcase(one, glob)]


@rule(
    "clients.supported",
    opt_in=True,
    title="Every client that the policy lists connects",
    goal=Goal.ENFORCEMENT,
    severity=Severity.MEDIUM,
    of=TlsEvidence,
    why="Users who are locked out ask for weaker TLS, or go where there is none; it is better to know before a change.",
    how="What each client offers and demands is known and compared with what the server was seen to accept; no client "
    "is started. Trust in the issuer, names and dates are not part of it.",
    sources=(rfc(9325, "3.1.1"), rfc(8446, "4.1.1")),
    reasons={
        "all-connect": passes("Every client of the policy's list connects: {observed}."),
        "cut-off": fails("Clients of the policy's list cannot connect: {observed}."),
        "unclear": indeterminate("Whether these clients connect is unknown: {observed}."),
        "no-list": not_applicable("The policy lists no clients."),
    },
    fix=Fix(
        "Offer what the clients that are named need, or remove them from the policy's list and inform their users "
        "first. "
        "`nightseal clients HOST` shows what each lacks, and `--if` what a change would bring."
    ),
    mistake=untried("what clients need is in no single directive; docs/clients.md shows how outcomes are checked"),
    parameters=ClientParameters,
    proof=Proof.SINGULAR,
)
def _supported(tls: TlsEvidence, facts: Facts, parameters: ClientParameters) -> list[Finding]:
    known = all_clients()
    wanted = dict.fromkeys(one for glob in parameters.clients for one in _matching(glob))
    if not wanted:
        return [Finding("no-list")]
    server = server_of(tls)
    outcomes = {one: connect(known[one], server) for one in wanted}
    expected = f"{listing(parameters.clients)} connect"
    for connects, reason in ((False, "cut-off"), (None, "unclear")):
        found = [_told(known[one].title, outcome) for one, outcome in outcomes.items() if outcome.connects is connects]
        if found:
            return [Finding(reason, listing(found), expected)]
    return [Finding("all-connect", listing(known[one].title for one in wanted), expected)]


def _told(title: str, outcome: Outcome) -> str:
    return f"{title}: {outcome.why}"
