"""What the two TLS engines tell each other, so that neither asks a server what the other has seen."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_der_x509_certificate
from msgspec import Struct

from scanner.evidence import Attempt, ClientAuthentication, Failure, FailureReason, KeyType, Protocol, TlsEvidence

_OLDER = (Protocol.SSL3, Protocol.TLS1_0, Protocol.TLS1_1, Protocol.TLS1_2)
_BY_RSA: Final = "TLS_RSA_WITH_"
_WITH_GCM: Final = ("_AES_128_GCM_SHA256", "_AES_256_GCM_SHA384")
_RSA_KEYS: Final = (KeyType.RSA, KeyType.RSA_PSS)
ENOUGH = (FailureReason.TIMED_OUT, FailureReason.RESET, FailureReason.DEADLINE)
"""Why the survey breaks off where a server has had enough of it, or time is up."""


class Surveyed(Struct, frozen=True):
    """What the survey knows when the handshake probe begins beside it.

    `newest` is the newest protocol negotiated, None where the survey found an unusual way to be answered. The handshake
    makes the connections that tell more than the survey's, and leaves the rest (`Unanswered`) to that.
    """

    newest: Protocol | None


class Unanswered(StrEnum):
    """What the handshake engine can be asked for once more, alone.

    At first it is left to the survey, or (`FEARED`) to a probe that begins after it, unless the survey came to nothing.
    Early data and renegotiation are asked for at first, and once more where the server had no time (`_BUSY`): some turn
    connections away while others are open.
    """

    CERTIFICATES = "certificates"
    SESSION_TICKETS = "session-tickets"
    ROBOT = "robot"
    HEARTBLEED = "heartbleed"
    CCS_INJECTION = "ccs-injection"
    RENEGOTIATION = "renegotiation"
    EARLY_DATA = "early-data"


_AT_FIRST: Final = (Unanswered.EARLY_DATA, Unanswered.RENEGOTIATION)
_LEFT: Final = tuple(fact for fact in Unanswered if fact not in _AT_FIRST)
_BUSY: Final = (FailureReason.RESET, FailureReason.TIMED_OUT)
_PLAIN_WORDS: Final = "wrong version number"
"""OpenSSL's name for what is no TLS: a server that made a handshake before turns a connection away in words."""
FEARED: Final = {"heartbleed": Unanswered.HEARTBLEED, "ccs_injection": Unanswered.CCS_INJECTION}
"""What it is asked for where another probe found the fact of that name."""


class RsaTransport(Struct, frozen=True):
    """A key to which the server lets clients encrypt, and the newest protocol in which it does.

    `gcm` is whether it does so with AES-GCM.
    """

    protocol: Protocol
    modulus: int
    exponent: int
    gcm: bool


class Remaining(Struct, frozen=True):
    """What is still to be seen of a server with which handshakes have been made already.

    `transport` is None where it is not certain which key, in which protocol, RSA key transport is done with.
    """

    newest: Protocol
    client_authentication: ClientAuthentication
    unanswered: frozenset[Unanswered]
    transport: RsaTransport | None = None


class HandshakeResult(Struct, frozen=True):
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
    if result.newest is None or handshake is None:
        return None
    authentication = handshake.client_authentication.value
    if authentication is None:
        return None
    facts: dict[Unanswered, Failure | None] = dict.fromkeys(_LEFT, surveyed.failure)
    before_tls13 = True
    if survey is not None:
        older = [survey.offer(protocol) for protocol in _OLDER]
        if any(offer.cut_off is not None and offer.cut_off.reason in ENOUGH for offer in older):
            return None
        facts = {
            Unanswered.CERTIFICATES: survey.certificates.failure,
            Unanswered.SESSION_TICKETS: survey.session_tickets.failure,
            Unanswered.ROBOT: survey.robot.failure,
        }
        before_tls13 = any(offer.value is None or offer.value.negotiated for offer in older)
    if not (result.left and before_tls13):
        # Nothing was left out, or they are questions of the older protocols, of which there are none.
        facts = {}
    if before_tls13:
        facts[Unanswered.RENEGOTIATION] = _busy(handshake.client_renegotiation.failure)
    facts[Unanswered.EARLY_DATA] = _busy(handshake.max_early_data_size.failure)
    allowed = frozenset(Unanswered) if intrusive else frozenset({Unanswered.CERTIFICATES, Unanswered.EARLY_DATA})
    unanswered = frozenset(fact for fact, failure in facts.items() if failure is not None) & allowed
    if not unanswered:
        return None
    transport = rsa_transport(survey) if survey is not None and Unanswered.ROBOT in unanswered else None
    return Remaining(result.newest, authentication, unanswered, transport)


def _busy(failure: Failure | None) -> Failure | None:
    """The failure, where it may be that the server had too much to do, or too many connections."""
    busy = failure is not None and (failure.reason in _BUSY or _PLAIN_WORDS in failure.detail)
    return failure if busy else None


def rsa_transport(seen: TlsEvidence) -> RsaTransport | None:
    """With which key RSA key transport is done, in the newest protocol before TLS 1.3.

    None where it is not done in that, where no handshake by it is known to be completed, or where the server showed
    more than one RSA key: a test with another than the right one would see the same answer to everything.
    """
    for protocol in reversed(_OLDER):
        offer = seen.offer(protocol).value
        if offer is not None and offer.negotiated:
            break
    else:
        return None
    names = [suite.name for suite in offer.suites if suite.name.startswith(_BY_RSA) and not suite.unconfirmed]
    keys = {item.leaf.spki: item.leaf for item in seen.certificates.value or () if item.leaf.key_type in _RSA_KEYS}
    if not names or len(keys) != 1:
        return None
    (leaf,) = keys.values()
    try:
        key = load_der_x509_certificate(leaf.der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, RSAPublicKey):
        return None
    numbers = key.public_numbers()
    return RsaTransport(protocol, numbers.n, numbers.e, any(name.endswith(_WITH_GCM) for name in names))
