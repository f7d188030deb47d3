"""Which server programs a report tells how to configure: those that are configured, and those that were guessed.

A guess is made of the `Server` header, which whoever runs the server may set to anything. Where nothing says what it
is, it is made of protocol and port: programs that are usual there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from scanner.inventory import StartTls
from scanner.rules.registry.servers import SERVER_PROGRAMS
from scanner.verdict import RunRecord, TargetResult

PROGRAMS: Final = SERVER_PROGRAMS

_HEADERS: Final = (
    (re.compile(r"(?i)\bcoyote\b|\btomcat\b"), "tomcat"),
    (re.compile(r"(?i)^(nginx|openresty|tengine)\b"), "nginx"),
    (re.compile(r"(?i)^apache(?!-coyote)\b"), "apache"),
    (re.compile(r"(?i)^microsoft-(iis|httpapi)\b"), "iis"),
    (re.compile(r"(?i)^haproxy\b"), "haproxy"),
    (re.compile(r"(?i)^(node|express)\b"), "node"),
    (re.compile(r"(?i)^caddy\b"), "caddy"),
    (re.compile(r"(?i)^lighttpd\b"), "lighttpd"),
    (re.compile(r"(?i)^squid\b"), "squid"),
    (re.compile(r"(?i)^(jetty|undertow|wildfly|jboss|weblogic)\b"), "java"),
    (re.compile(r"(?i)^(awselb|cloudfront|amazons3)\b"), "aws"),
    (re.compile(r"(?i)^microsoft-azure-application-gateway\b"), "azure"),
    (re.compile(r"(?i)^(google frontend|gws|gse|esf)\b"), "google cloud"),
    (re.compile(r"(?i)^(bigip|big-ip|netscaler|citrix)\b"), "load balancer"),
)
_BY_PORT: Final[Mapping[int, tuple[str, ...]]] = {
    **dict.fromkeys((25, 465, 587), ("exim", "postfix")),
    **dict.fromkeys((110, 143, 993, 995), ("dovecot",)),
    **dict.fromkeys((389, 636), ("openldap",)),
    **dict.fromkeys((3128, 3129), ("squid",)),
    **dict.fromkeys((3306,), ("mariadb",)),
    **dict.fromkeys((5432,), ("postgresql",)),
    **dict.fromkeys((6379, 6380), ("redis",)),
    **dict.fromkeys((8883,), ("mosquitto",)),
}
"""Programs that usually serve at a port, for the lack of anything else that tells."""
_BY_STARTTLS: Final[Mapping[StartTls, tuple[str, ...]]] = {
    StartTls.SMTP: ("exim", "postfix"),
    StartTls.IMAP: ("dovecot",),
    StartTls.POP3: ("dovecot",),
    StartTls.LDAP: ("openldap",),
    StartTls.POSTGRES: ("postgresql",),
}
"""Programs that usually speak a protocol."""


def guessed_servers(record: RunRecord) -> tuple[str, ...]:
    """The programs that servers of a run say to be, or that are usual at their ports, by the keys of remedies."""
    return tuple(sorted({name for target in record.targets for name in _guessed(target)}))


def chosen_servers(configured: Sequence[str], guessed: Sequence[str]) -> tuple[str, ...]:
    """The programs whose remedies are told: the configured ones, in their order, then those that were seen."""
    return tuple(dict.fromkeys((*configured, *guessed)))


def _guessed(target: TargetResult) -> Iterator[str]:
    said = {name for text in _headers(target) for pattern, name in _HEADERS if pattern.search(text)}
    spoken = _BY_STARTTLS.get(target.starttls, ()) if target.starttls else ()
    yield from said or spoken or _BY_PORT.get(target.port, ())


def _headers(target: TargetResult) -> Iterator[str]:
    http = target.evidence.http.value if target.evidence else None
    for probe in http.probes if http else ():
        yield from (hop.server for hop in probe.hops if hop.server)
