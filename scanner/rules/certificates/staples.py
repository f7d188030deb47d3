"""What rules about stapled OCSP responses have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanner.evidence import CLOCK_SKEW
from scanner.rules.certificates.leaves import CERTIFICATES_HOW
from scanner.rules.registry import indeterminate

if TYPE_CHECKING:
    from datetime import datetime

    from scanner.evidence import Staple

STAPLE_HOW = CERTIFICATES_HOW + " A stapled OCSP response is requested in the handshake."
UNVERIFIED = indeterminate(
    "The issuer of the certificate is not known, so the stapled OCSP response cannot be verified."
)


def current_staple(staple: Staple, now: datetime) -> bool:
    """Whether the response is about now. One without nextUpdate says that newer ones are always to be had."""
    starts = staple.this_update is None or staple.this_update <= now + CLOCK_SKEW
    return starts and (staple.next_update is None or now <= staple.next_update)


def end_of_staple(staple: Staple) -> str:
    """The day on which a response ends."""
    return f"{staple.next_update:%Y-%m-%d}" if staple.next_update else "an unknown day"
