"""Everything observed at one target, and its form in JSON."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import TypeAdapter

from scanner.evidence.attempt import Attempt, not_run
from scanner.evidence.doors import FrontDoors
from scanner.evidence.http import HttpEvidence
from scanner.evidence.mail import MailDomain
from scanner.evidence.plain import PlainEvidence
from scanner.evidence.tls import TlsEvidence


@dataclass(frozen=True, slots=True)
class CaaRecord:
    """A CAA record (RFC 8659)."""

    tag: str
    value: str
    critical: bool = False


@dataclass(frozen=True, slots=True)
class NameCaa:
    """The CAA records that hold for a name; `caa_domain` is the ancestor at which they were found, if any."""

    domain: str
    caa: Attempt[tuple[CaaRecord, ...]] = field(default_factory=not_run)
    caa_domain: str | None = None


class Dnssec(StrEnum):
    """What a validating resolver says of a name: its answers are signed, nobody signs them, or they are forged."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"
    BOGUS = "bogus"


@dataclass(frozen=True, slots=True)
class DnsEvidence:
    """What the DNS says of a name. `caa_domain` is the ancestor at which the records were found, if any.

    `certificate_names` has the same of each name in the certificates of public CAs that are served, wildcards without
    their first label; empty where nobody asked for them.
    """

    addresses: tuple[str, ...] = ()
    caa: Attempt[tuple[CaaRecord, ...]] = field(default_factory=not_run)
    caa_domain: str | None = None
    certificate_names: tuple[NameCaa, ...] = ()
    dnssec: Attempt[Dnssec] = field(default_factory=not_run)


@dataclass(frozen=True, slots=True)
class TargetEvidence:
    """Everything observed at one target in one run.

    `tls` fails as a whole where no TLS engine got an answer, with the reason (refused, not TLS, …).
    `http` is NOT_RUN at endpoints that do not speak HTTP, `plain` where nothing begins in plain or no policy judges it,
    `mail` where no mail domain was asked for, `doors` where no policy judges them. `connections` counts the connections
    opened to the target. `seen_from` is
    the zone whose worker looked; empty where it was the machine of the run.
    """

    started_at: datetime
    duration_s: float
    connections: int
    tls: Attempt[TlsEvidence] = field(default_factory=not_run)
    http: Attempt[HttpEvidence] = field(default_factory=not_run)
    dns: Attempt[DnsEvidence] = field(default_factory=not_run)
    plain: Attempt[PlainEvidence] = field(default_factory=not_run)
    mail: Attempt[MailDomain] = field(default_factory=not_run)
    doors: Attempt[FrontDoors] = field(default_factory=not_run)
    seen_from: str = ""


@functools.cache
def _json() -> TypeAdapter[TargetEvidence]:
    """Made when it is used: it takes as long as to load a tenth of a scan, and a scan that is not kept needs none."""
    return TypeAdapter(TargetEvidence)


def to_json(evidence: TargetEvidence) -> bytes:
    """Serialise to compact JSON."""
    return _json().dump_json(evidence, exclude_defaults=True)


def from_json(data: bytes | str) -> TargetEvidence:
    """Read what `to_json` wrote.

    Raises:
        pydantic.ValidationError: the data is not evidence of this version.
    """
    return _json().validate_json(data)
