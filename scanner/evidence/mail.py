"""What a mail domain says of how its mail is to be protected on the way: DANE, MTA-STS and TLS-RPT."""

from __future__ import annotations

from dataclasses import dataclass, field

from scanner.evidence.attempt import Attempt, not_run


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A TLSA record (RFC 6698); `data` is in lower-case hexadecimal."""

    usage: int
    selector: int
    matching: int
    data: str


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A policy of MTA-STS (RFC 8461 section 3.2): `mode` is `enforce`, `testing` or `none`, `max_age` in seconds."""

    mode: str
    max_age: int
    mx: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MailDomain:
    """What the DNS and the policy host say of a domain, seen from one of its mail servers.

    `preference` is the server's MX preference, None where the domain has no MX record and is its own mail server.
    `tlsa` are the records of `_25._tcp` of the server's name. `signed` tells whether the resolver vouches for both the
    MX records and those. `sts_record` and `tls_reports` are the TXT records of `_mta-sts` and `_smtp._tls`.
    """

    domain: str
    preference: int | None = None
    tlsa: Attempt[tuple[Tlsa, ...]] = field(default_factory=not_run)
    signed: Attempt[bool] = field(default_factory=not_run)
    sts_record: Attempt[tuple[str, ...]] = field(default_factory=not_run)
    sts_policy: Attempt[StsPolicy] = field(default_factory=not_run)
    tls_reports: Attempt[tuple[str, ...]] = field(default_factory=not_run)
