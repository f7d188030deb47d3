"""The words for what the verdicts, the inventory and the evidence name by slugs: in one place, for every report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scanner.evidence import FailureReason, Protocol
from scanner.inventory import EnvironmentKind, Role
from scanner.verdict import Goal, Severity, Status, TargetStatus, Trigger

PROTOCOLS: Final[Mapping[Protocol, str]] = {
    Protocol.SSL2: "SSL 2.0",
    Protocol.SSL3: "SSL 3.0",
    Protocol.TLS1_0: "TLS 1.0",
    Protocol.TLS1_1: "TLS 1.1",
    Protocol.TLS1_2: "TLS 1.2",
    Protocol.TLS1_3: "TLS 1.3",
}

GOALS: Final[Mapping[Goal, str]] = {
    Goal.ENCRYPTION: "Encryption",
    Goal.INTEGRITY: "Integrity",
    Goal.AUTHENTICITY: "Authenticity",
    Goal.ENFORCEMENT: "Enforcement",
}

GOAL_MEANINGS: Final[Mapping[Goal, str]] = {
    Goal.ENCRYPTION: "nobody else can read it",
    Goal.INTEGRITY: "nobody can change it",
    Goal.AUTHENTICITY: "the server is who it says",
    Goal.ENFORCEMENT: "HTTPS is really used",
}

SEVERITIES: Final[Mapping[Severity, str]] = {
    Severity.CRITICAL: "Critical",
    Severity.HIGH: "High",
    Severity.MEDIUM: "Medium",
    Severity.LOW: "Low",
    Severity.INFO: "Note",
}

STATUSES: Final[Mapping[Status, str]] = {
    Status.PASS: "Met",
    Status.FAIL: "Not met",
    Status.NOT_APPLICABLE: "Does not apply",
    Status.INDETERMINATE: "Not assessed",
}

TARGET_STATUSES: Final[Mapping[TargetStatus, str]] = {
    TargetStatus.ASSESSED: "assessed",
    TargetStatus.PARTIAL: "assessed in part",
    TargetStatus.UNREACHABLE: "unreachable",
}

ENVIRONMENT_KINDS: Final[Mapping[EnvironmentKind | None, str]] = {
    EnvironmentKind.PAAS: "PaaS",
    EnvironmentKind.ON_PREMISES: "on-premises",
    None: "",
}

ROLES: Final[Mapping[Role, str]] = {
    Role.APPLICATION: "application",
    Role.DEVELOPMENT: "development endpoint",
    Role.MONITORING: "monitoring console",
    Role.SERVER: "server",
}

TRIGGERS: Final[Mapping[Trigger, str]] = {
    Trigger.AD_HOC: "asked for ad hoc",
    Trigger.SCHEDULE: "started by schedule",
    Trigger.MANUAL: "started by hand",
}

FAILURES: Final[Mapping[FailureReason, str]] = {
    FailureReason.NOT_RUN: "it was not looked at",
    FailureReason.UNRESOLVABLE: "the name does not resolve",
    FailureReason.REFUSED: "the connection was refused",
    FailureReason.UNREACHABLE: "the address cannot be reached",
    FailureReason.TIMED_OUT: "no answer came in time",
    FailureReason.DEADLINE: "the target's deadline was over",
    FailureReason.RESET: "the connection was reset",
    FailureReason.NOT_TLS: "the port does not speak TLS",
    FailureReason.TLS_ONLY: "the port speaks TLS alone",
    FailureReason.STARTTLS_REFUSED: "the server refuses to go over to TLS",
    FailureReason.HANDSHAKE_FAILED: "the handshake failed",
    FailureReason.CLIENT_CERTIFICATE_REQUIRED: "a client certificate is required",
    FailureReason.MALFORMED: "the answer was malformed",
    FailureReason.TOO_LARGE: "the answer was too large",
    FailureReason.UNSUPPORTED: "the scanner cannot test it",
    FailureReason.INCONSISTENT: "the answers contradict each other",
    FailureReason.INTERRUPTED: "the run was interrupted",
    FailureReason.ENGINE_ERROR: "the engine failed",
}


SERVERS: Final[Mapping[str, str]] = {
    "apache": "Apache httpd",
    "haproxy": "HAProxy",
    "iis": "IIS",
    "node": "Node.js",
    "openssl": "OpenSSL",
    "outsystems": "OutSystems",
    "postfix": "Postfix",
    "tomcat": "Tomcat",
    "windows ca": "Windows CA",
}
"""What servers and tools are called whose keys in a fix are written otherwise."""


def counted(number: int, one: str, many: str = "") -> str:
    """`1 target`, `2 targets`; the plural is the singular with an s, unless it is given."""
    return f"{number:,} {one if number == 1 else many or one + 's'}".replace(",", "\u2009")


def listed(names: tuple[str, ...] | list[str], limit: int = 3) -> str:
    """`a, b and c`; what is over the limit is counted: `a, b, c and 9 more`."""
    if len(names) > limit + 1:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    if len(names) < 2:  # noqa: PLR2004  # one name, or none
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
