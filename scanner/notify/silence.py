"""What messages say of what a change comes from, and of hosts that could not be looked at: why, and what to do."""

from __future__ import annotations

from typing import Final

from reports.wording import CAUSE_MEANINGS, CAUSES, FAILURES
from scanner.evidence import FailureReason
from scanner.history.attribution import ChangeCause

_RESOLVE: Final = "resolve the name on the scanner's machine with the name servers that it uses"
ADVICE: Final[dict[FailureReason, str]] = {
    FailureReason.NOT_RUN: "Look into the log of the run.",
    FailureReason.UNRESOLVABLE: "Correct the name in the DNS, or in the configuration where it was retired.",
    FailureReason.RESOLVER_FAILED: f"Check the scanner's resolver and its network: {_RESOLVE}.",
    FailureReason.REFUSED: "Check that the service listens on that port, and that no firewall refuses the scanner.",
    FailureReason.UNREACHABLE: "Check the scanner's route (or proxy) to the address, then whether the host is up.",
    FailureReason.TIMED_OUT: "Check that the host is up, and that no firewall drops what the scanner sends.",
    FailureReason.DEADLINE: "Give the target more time ([scan] target_deadline), or find out what slows it down.",
    FailureReason.RESET: "Check what ends the connection: the service, or a firewall in front of it.",
    FailureReason.NOT_TLS: "Check the port in the configuration, and whether the service begins in plain text.",
    FailureReason.UNAVAILABLE: "Let the scanner through, or give it fewer connections ([scan] connections_per_target).",
    FailureReason.INTERRUPTED: "Find out what ended the run, and repeat it.",
    FailureReason.PROXY_UNREACHABLE: "Check that the proxy ([scan] proxy) is up, and the scanner's route to it.",
    FailureReason.ENGINE_ERROR: "Look into the log of the run.",
    FailureReason.NO_WORKER: "Start a worker in that network, or check its connection to the broker.",
}
"""What to do where nothing was observed for a reason, as far as there is something to do."""


def cause_in_words(cause: ChangeCause) -> str:
    """A cause and what it means."""
    return f"{CAUSES[cause]}: {CAUSE_MEANINGS[cause]}"


def why(reason: FailureReason | None) -> str:
    """The reason, after a colon; nothing where none is known."""
    return f": {FAILURES[reason]}" if reason else ""


def advice_for(reason: FailureReason | None) -> str:
    """What to do about it; empty where nothing is known of that."""
    return ADVICE.get(reason, "") if reason else ""


def reason_of(text: str) -> FailureReason | None:
    """A verdict's reason, where it is one for which nothing was observed."""
    return FailureReason(text) if text in set(FailureReason) else None
