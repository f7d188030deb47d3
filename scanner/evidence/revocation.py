"""What lists of revoked certificates (CRLs) and OCSP responders said of the certificates of a chain."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far the clocks of a certificate authority and of this machine may differ."""
ON_HOLD: Final = "certificateHold"
"""The one reason for a revocation that can be taken back (RFC 5280 section 5.3.1)."""


class RevocationSource(StrEnum):
    """Where a certificate authority publishes what it revoked."""

    CRL = "crl"
    OCSP = "ocsp"


class RevocationStatus(StrEnum):
    """What a source says of a certificate. UNKNOWN: a responder that does not know it."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


class RevocationFailure(StrEnum):
    """Why a source said nothing that counts."""

    UNREACHABLE = "unreachable"
    REFUSED_BY_GATE = "refused-by-gate"
    TRY_LATER = "try-later"
    RESPONDER_ERROR = "responder-error"
    BUDGET = "budget"
    TOO_LARGE = "too-large"
    MALFORMED = "malformed"
    NOT_SIGNED = "not-signed"
    OTHER_SCOPE = "other-scope"
    NO_ISSUER = "no-issuer"


class ServiceFault(StrEnum):
    """What is wrong with how an answer was given, although it counts."""

    NO_GET = "no-get"
    NO_NOCHECK = "no-nocheck"
    SHA1 = "sha1"


@dataclass(frozen=True, slots=True)
class RevocationAnswer:
    """What one source said of one certificate, or why it said nothing that counts.

    `certificate` is the SHA-256 fingerprint of the certificate that was asked about, `digest` the SHA-256 of the list
    or response, both in lower-case hexadecimal. Exactly one of `status` and `failure` is set. `reason` has the
    spelling of RFC 5280 section 5.3.1 (`keyCompromise`). `fetched_at` is when the answer was fetched, which may be
    before the run; `from_cache` tells that it was not fetched in the run.
    """

    certificate: str
    source: RevocationSource
    url: str
    status: RevocationStatus | None = None
    failure: RevocationFailure | None = None
    detail: str = ""
    reason: str | None = None
    revoked_at: datetime | None = None
    this_update: datetime | None = None
    next_update: datetime | None = None
    fetched_at: datetime | None = None
    from_cache: bool = False
    digest: str = ""
    faults: tuple[ServiceFault, ...] = ()

    def current(self, now: datetime) -> bool:
        """Whether it speaks of `now`. An answer that does not say until when it holds is not current."""
        begun = self.this_update is not None and self.this_update <= now + CLOCK_SKEW
        return begun and self.next_update is not None and now <= self.next_update + CLOCK_SKEW

    def revokes(self, now: datetime) -> bool:
        """Whether it proves a revocation: it is not taken back, save a hold, which only a current answer proves."""
        return self.status is RevocationStatus.REVOKED and (self.reason != ON_HOLD or self.current(now))

    def decides(self, now: datetime) -> bool:
        """Whether no other source need be asked."""
        return self.revokes(now) or (self.status is RevocationStatus.GOOD and self.current(now))
