"""The words for what the verdicts, the inventory and the evidence name by slugs: in one place, for every report.

They are said in the language that is spoken when they are looked up (`reports.language`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from reports.language import Words, duration, gettext, mark, mark_plural, ngettext, number
from scanner import formats
from scanner.counting import noun_of
from scanner.evidence import FailureReason, Protocol
from scanner.inventory import EnvironmentKind, Role
from scanner.rules.registry.servers import was_run
from scanner.standpoint import Uncovered
from scanner.verdict import Goal, Severity, Status, TargetStatus, Trigger

PROTOCOLS: Final[Mapping[Protocol, str]] = {
    Protocol.SSL2: "SSL 2.0",
    Protocol.SSL3: "SSL 3.0",
    Protocol.TLS1_0: "TLS 1.0",
    Protocol.TLS1_1: "TLS 1.1",
    Protocol.TLS1_2: "TLS 1.2",
    Protocol.TLS1_3: "TLS 1.3",
}

GOALS: Final = Words[Goal](
    {
        Goal.ENCRYPTION: mark("Encryption"),
        Goal.INTEGRITY: mark("Integrity"),
        Goal.AUTHENTICITY: mark("Authenticity"),
        Goal.ENFORCEMENT: mark("Enforcement"),
    }
)

GOAL_LETTERS: Final = Words[Goal](
    {
        Goal.ENCRYPTION: mark("E"),
        Goal.INTEGRITY: mark("I"),
        Goal.AUTHENTICITY: mark("A"),
        Goal.ENFORCEMENT: mark("F"),
    }
)
"""What heads a goal's column in the appendix on paper; a line above the table tells what each letter stands for."""

GOAL_MEANINGS: Final = Words[Goal](
    {
        Goal.ENCRYPTION: mark("nobody else can read it"),
        Goal.INTEGRITY: mark("nobody can change it"),
        Goal.AUTHENTICITY: mark("the server is who it claims to be"),
        Goal.ENFORCEMENT: mark("HTTPS is really used"),
    }
)

SEVERITIES: Final = Words[Severity](
    {
        Severity.CRITICAL: mark("Critical"),
        Severity.HIGH: mark("High"),
        Severity.MEDIUM: mark("Medium"),
        Severity.LOW: mark("Low"),
        Severity.INFO: mark("Note"),
    }
)

STATUSES: Final = Words[Status](
    {
        Status.PASS: mark("Met"),
        Status.FAIL: mark("Not met"),
        Status.NOT_APPLICABLE: mark("Does not apply"),
        Status.INDETERMINATE: mark("Not assessed"),
    }
)

TARGET_STATUSES: Final = Words[TargetStatus](
    {
        TargetStatus.ASSESSED: mark("assessed"),
        TargetStatus.PARTIAL: mark("assessed in part"),
        TargetStatus.UNREACHABLE: mark("unreachable"),
    }
)

ENVIRONMENT_KINDS: Final = Words[EnvironmentKind | None](
    {
        EnvironmentKind.PAAS: mark("PaaS"),
        EnvironmentKind.ON_PREMISES: mark("on-premises"),
        None: "",
    }
)

ROLES: Final = Words[Role](
    {
        Role.APPLICATION: mark("application"),
        Role.DEVELOPMENT: mark("development endpoint"),
        Role.MONITORING: mark("monitoring console"),
        Role.SERVER: mark("server"),
    }
)

TRIGGERS: Final = Words[Trigger](
    {
        Trigger.AD_HOC: mark("asked for ad hoc"),
        Trigger.SCHEDULE: mark("started by schedule"),
        Trigger.MANUAL: mark("started by hand"),
    }
)

FAILURES: Final = Words[FailureReason](
    {
        FailureReason.NOT_RUN: mark("it was not checked"),
        FailureReason.NOT_ASKED: mark("the configuration does not allow the query"),
        FailureReason.UNRESOLVABLE: mark("the name does not resolve"),
        FailureReason.RESOLVER_FAILED: mark("the resolver could not determine whether the name exists"),
        FailureReason.REFUSED: mark("the connection was refused"),
        FailureReason.UNREACHABLE: mark("the address cannot be reached"),
        FailureReason.PROXY_UNREACHABLE: mark("the proxy cannot be reached"),
        FailureReason.TIMED_OUT: mark("no answer came in time"),
        FailureReason.DEADLINE: mark("the target's deadline had passed"),
        FailureReason.RESET: mark("the connection was reset"),
        FailureReason.NOT_TLS: mark("the port does not speak TLS"),
        FailureReason.TLS_ONLY: mark("the port speaks only TLS"),
        FailureReason.STARTTLS_REFUSED: mark("the server refuses to upgrade to TLS"),
        FailureReason.HANDSHAKE_FAILED: mark("the handshake failed"),
        FailureReason.CLIENT_CERTIFICATE_REQUIRED: mark("a client certificate is required"),
        FailureReason.MALFORMED: mark("the answer was malformed"),
        FailureReason.TOO_LARGE: mark("the answer was too large"),
        FailureReason.UNSUPPORTED: mark("the scanner cannot test it"),
        FailureReason.INCONSISTENT: mark("the answers contradict each other"),
        FailureReason.UNAVAILABLE: mark("the server temporarily refused the scanner"),
        FailureReason.INTERRUPTED: mark("the run was interrupted"),
        FailureReason.ENGINE_ERROR: mark("the engine failed"),
        FailureReason.NO_WORKER: mark("no worker is connected that could scan from inside its network"),
    }
)


DIFF_KINDS: Final = Words[str](
    {
        "new-failure": mark("Newly failing"),
        "worse": mark("Worse"),
        "worse-but-waived": mark("Worse, though waived"),
        "better": mark("Better, still failing"),
        "fixed": mark("Fixed"),
        "no-longer-known": mark("No longer known"),
        "assessed-again": mark("Assessed again: failing"),
        "waived": mark("Now waived"),
        "no-longer-judged": mark("No longer judged"),
        "unreachable": mark("No longer reachable"),
        "back": mark("Reachable again"),
        "appeared": mark("New target"),
        "gone": mark("Gone"),
        "moved": mark("Other addresses"),
    }
)
"""How something is other than it was in the run before (`reports.view.history_model.DiffKind`)."""

CAUSES: Final = Words[str](
    {
        "server": mark("Server"),
        "addresses": mark("Addresses"),
        "network": mark("Scanner or network"),
        "policy": mark("Policy"),
        "configuration": mark("Configuration"),
        "tool": mark("Tool"),
        "time": mark("Time"),
    }
)
"""What a change comes from (`scanner.history.attribution.ChangeCause`)."""

CAUSE_MEANINGS: Final = Words[str](
    {
        "server": mark("the observation is different"),
        "addresses": mark("the name has other addresses, and those that failed were not scanned"),
        "network": mark("the scanner's resolver, route, proxy, worker or time limit prevented the check"),
        "policy": mark("another policy, or another version of it, was applied"),
        "configuration": mark("other targets, paths, trust stores or waivers"),
        "tool": mark("another version of Nightseal or of an engine was used"),
        "time": mark("only the date is different"),
    }
)

FORMATS: Final = Words[str]({**{name: item.title for name, item in formats.FORMATS.items()}, "text": mark("Text")})
"""What people call the formats of reports."""
UNCOVERED: Final = Words[Uncovered](
    {
        Uncovered.NOT_TAKEN: mark("in an inventory file, in an environment that does not read it"),
        Uncovered.UNLISTED_NAME: mark("named in a served certificate, not configured"),
        Uncovered.UNLISTED_REDIRECT: mark("redirected to, not configured"),
        Uncovered.NO_CONSOLE: mark("applications, but no console configured"),
        Uncovered.UNEXPECTED_COUNT: mark("another number of hosts in the inventory than expected"),
    }
)
"""Why something of ours was not looked at."""
SHORT_FAILURES: Final = Words[FailureReason](
    {
        FailureReason.REFUSED: mark("refused"),
        FailureReason.RESET: mark("reset"),
    }
)
"""The same in the table of enforcement, where the column says that it was a connection."""

SERVERS: Final[Mapping[str, str]] = {
    "apache": "Apache httpd",
    "aws": "AWS",
    "azure": "Azure",
    "caddy": "Caddy",
    "dovecot": "Dovecot",
    "exim": "Exim",
    "gnutls": "GnuTLS",
    "go": "Go",
    "google cloud": "Google Cloud",
    "haproxy": "HAProxy",
    "iis": "IIS",
    "java": "Java",
    "kubernetes ingress": "Kubernetes, ingress-nginx",
    "mariadb": "MariaDB",
    "mosquitto": "Mosquitto",
    "node": "Node.js",
    "openldap": "OpenLDAP",
    "openssl": "OpenSSL",
    "outsystems": "OutSystems",
    "postfix": "Postfix",
    "postgresql": "PostgreSQL",
    "redis": "Redis",
    "squid": "Squid",
    "tomcat": "Tomcat",
    "windows ca": "Windows CA",
}
"""What servers and tools are called whose keys in a fix are written otherwise."""


def server_heading(key: str, rule_id: str) -> str:
    """What stands over a rule's advice for a server program: its name, and that it was never run, where it was not."""
    name = SERVERS.get(key, key)
    return name if was_run(key, rule_id) else gettext("%(server)s (from its documentation, not run)") % {"server": name}


_COUNTED: Final = {
    one.removeprefix("%(num)s "): (one, many)
    for one, many in (
        mark_plural("%(num)s accepted failure", "%(num)s accepted failures"),
        mark_plural("%(num)s action", "%(num)s actions"),
        mark_plural("%(num)s address", "%(num)s addresses"),
        mark_plural("%(num)s certificate", "%(num)s certificates"),
        mark_plural("%(num)s change", "%(num)s changes"),
        mark_plural("%(num)s check", "%(num)s checks"),
        mark_plural("%(num)s client", "%(num)s clients"),
        mark_plural("%(num)s clause", "%(num)s clauses"),
        mark_plural("%(num)s day", "%(num)s days"),
        mark_plural("%(num)s earlier complete run", "%(num)s earlier complete runs"),
        mark_plural("%(num)s earlier run", "%(num)s earlier runs"),
        mark_plural("%(num)s environment", "%(num)s environments"),
        mark_plural("%(num)s failure", "%(num)s failures"),
        mark_plural("%(num)s more action", "%(num)s more actions"),
        mark_plural("%(num)s more cause", "%(num)s more causes"),
        mark_plural("%(num)s more change", "%(num)s more changes"),
        mark_plural("%(num)s more clause", "%(num)s more clauses"),
        mark_plural("%(num)s more finding", "%(num)s more findings"),
        mark_plural("%(num)s more key", "%(num)s more keys"),
        mark_plural("%(num)s more line", "%(num)s more lines"),
        mark_plural("%(num)s more name", "%(num)s more names"),
        mark_plural("%(num)s more observation", "%(num)s more observations"),
        mark_plural("%(num)s more place", "%(num)s more places"),
        mark_plural("%(num)s more reason", "%(num)s more reasons"),
        mark_plural("%(num)s more target", "%(num)s more targets"),
        mark_plural("%(num)s note", "%(num)s notes"),
        mark_plural("%(num)s other", "%(num)s others"),
        mark_plural("%(num)s place", "%(num)s places"),
        mark_plural("%(num)s requirement", "%(num)s requirements"),
        mark_plural("%(num)s run", "%(num)s runs"),
        mark_plural("%(num)s target", "%(num)s targets"),
    )
}
"""What is counted, by its singular."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """`scanner.counting.counted` in the language of the report, as far as its catalogue has the noun."""
    forms = _COUNTED.get(one, (f"%(num)s {one}", f"%(num)s {noun_of(2, one, many)}"))
    return ngettext(*forms, count) % {"num": number(count)}


def span(value: timedelta) -> str:
    """How long something lasted, in whole days from one on: `12 days`, `3 h 20 min`."""
    return counted(value.days, "day") if value.days > 0 else duration(value)
