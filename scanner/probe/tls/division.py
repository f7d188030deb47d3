"""What the two TLS engines tell each other, so that neither asks a server what the other has seen."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from scanner.evidence import Attempt, ClientAuthentication, Failure, FailureReason, Protocol, TlsEvidence

_OLDER = (Protocol.SSL3, Protocol.TLS1_0, Protocol.TLS1_1, Protocol.TLS1_2)
_ENOUGH = (FailureReason.TIMED_OUT, FailureReason.RESET, FailureReason.DEADLINE)
"""Why the survey breaks off where a server has had enough of it, or time is up."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What the survey knows when the handshake probe begins beside it.

    `newest` is the newest protocol negotiated, None where the survey found an unusual way to be answered. The handshake
    makes the connections that tell more than the survey's, and leaves the rest (`Unanswered`) to that.
    """

    newest: Protocol | None


class Unanswered(StrEnum):
    """What is left to the survey, and asked for once more where that did not find it out."""

    CERTIFICATES = "certificates"
    SESSION_TICKETS = "session-tickets"
    ROBOT = "robot"


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is still to be seen of a server with which handshakes have been made already."""

    newest: Protocol
    client_authentication: ClientAuthentication
    unanswered: frozenset[Unanswered]


@dataclass(frozen=True, slots=True)
class HandshakeResult:
    """What was observed, and how many connections it took.

    `newest` is the newest protocol in which a handshake was made, None where none was; `left` is whether what
    `Unanswered` names was left to the survey.
    """

    evidence: Attempt[TlsEvidence]
    connections: int
    newest: Protocol | None = None
    left: bool = False


INTRUSIVE: Final = ("client_renegotiation", "early_data", "session_ids", "heartbleed", "ccs_injection", "robot")
"""Facts that only probes tell which look like attacks."""
ALSO_INTRUSIVE: Final = ("secure_renegotiation", "session_tickets")
"""Facts that such a probe tells where the survey does not."""


def remaining(surveyed: Attempt[TlsEvidence], result: HandshakeResult, *, intrusive: bool = True) -> Remaining | None:
    """What to ask for once more, now that both engines are at their end; None where there is nothing.

    Nothing is asked of a server that stopped answering the survey: it is left alone. `intrusive` is whether probes may
    look like attacks.
    """
    handshake, survey = result.evidence.value, surveyed.value
    if not result.left or result.newest is None or handshake is None:
        return None
    authentication = handshake.client_authentication.value
    if authentication is None:
        return None
    facts: dict[Unanswered, Failure | None] = dict.fromkeys(Unanswered, surveyed.failure)
    if survey is not None:
        older = [survey.offer(protocol) for protocol in _OLDER]
        if any(offer.cut_off is not None and offer.cut_off.reason in _ENOUGH for offer in older):
            return None
        facts = {
            Unanswered.CERTIFICATES: survey.certificates.failure,
            Unanswered.SESSION_TICKETS: survey.session_tickets.failure,
            Unanswered.ROBOT: survey.robot.failure,
        }
        if not any(offer.value is None or offer.value.negotiated for offer in older):
            # They are questions of the older protocols, of which there are none.
            facts = {}
    allowed = frozenset(Unanswered) if intrusive else frozenset({Unanswered.CERTIFICATES})
    unanswered = frozenset(fact for fact, failure in facts.items() if failure is not None) & allowed
    return Remaining(result.newest, authentication, unanswered) if unanswered else None
