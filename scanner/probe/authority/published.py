"""What an authority's answer says of one certificate, and why one may say nothing that counts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from scanner.untrusted import printable

if TYPE_CHECKING:
    from cryptography import x509

    from scanner.evidence import RevocationFailure, RevocationStatus, ServiceFault


class Unusable(Exception):  # noqa: N818  # it is an answer, if one that says nothing
    """The list or response says nothing that counts; `failure` says why."""

    def __init__(self, failure: RevocationFailure, detail: str) -> None:
        self.failure = failure
        self.detail = printable(detail)
        super().__init__(f"{failure.value}: {self.detail}")


class Judgement(Struct, frozen=True):
    """What a list or response says of one certificate, signed by who may say it."""

    status: RevocationStatus
    this_update: datetime
    next_update: datetime | None
    faults: tuple[ServiceFault, ...] = ()
    reason: str | None = None
    revoked_at: datetime | None = None


def reason_name(reason: x509.ReasonFlags | None) -> str | None:
    """The reason for a revocation in the spelling of RFC 5280 section 5.3.1."""
    return None if reason is None else str(reason.value)


def spki(certificate: x509.Certificate) -> bytes:
    """A certificate's public key as it stands in it (DER of the SubjectPublicKeyInfo).

    Raises:
        ValueError: it cannot be read.
    """
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
