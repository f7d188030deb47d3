"""Signed certificate timestamps (SCTs) as far as a list of logs lets them be verified (RFC 6962)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class SctCheck(StrEnum):
    """What came of verifying an SCT. UNKNOWN_LOG: no log of the list has this id."""

    VALID = "valid"
    UNKNOWN_LOG = "unknown-log"
    BAD_SIGNATURE = "bad-signature"
    FUTURE = "future"


class SctSource(StrEnum):
    """Where an SCT came from: it is embedded in the certificate, or came along in the handshake."""

    CERTIFICATE = "certificate"
    TLS = "tls"
    STAPLE = "staple"


class LogProgram(StrEnum):
    """Whose list says how far a log is to be trusted."""

    GOOGLE = "google"
    APPLE = "apple"


@dataclass(frozen=True, slots=True)
class LogState:
    """How a program sees a log (`pending`, `qualified`, `usable`, `readonly`, `retired`, `rejected`), and since."""

    state: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sct:
    """One SCT of a certificate. `log_id` is in lower-case hexadecimal; name, operator and states are the list's."""

    log_id: str
    logged_at: datetime
    check: SctCheck
    log: str = ""
    operator: str = ""
    states: Mapping[LogProgram, LogState] = field(default_factory=dict)
    source: SctSource = SctSource.CERTIFICATE


@dataclass(frozen=True, slots=True)
class Transparency:
    """The SCTs of a leaf, verified by a list of logs. `list_source` names the list, `list_date` says of when it is."""

    scts: tuple[Sct, ...]
    list_source: str
    list_date: datetime
