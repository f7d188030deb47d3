"""What a server does before a connection is upgraded to TLS."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from scanner.evidence.attempt import Attempt, not_run


class PlainLogin(StrEnum):
    """What becomes of a login that is begun before STARTTLS. NOT_OFFERED: the server knows no such login at all."""

    REFUSED = "refused"
    TAKEN = "taken"
    NOT_OFFERED = "not-offered"


@dataclass(frozen=True, slots=True)
class PlainEvidence:
    """What is taken in plain at an endpoint with STARTTLS or plain HTTP; no password was sent to find out.

    `said` is the server's answer to the login. `injection` tells that a command which was sent in plain, behind the
    request for TLS, was carried out inside TLS. `upgrade` tells that the port of plain HTTP goes over to TLS when a
    request asks it to (RFC 2817).
    """

    login: Attempt[PlainLogin] = field(default_factory=not_run)
    said: str = ""
    injection: Attempt[bool] = field(default_factory=not_run)
    upgrade: Attempt[bool] = field(default_factory=not_run)
