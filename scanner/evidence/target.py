"""Everything observed at one target, and its form in JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pydantic import TypeAdapter

from scanner.evidence.attempt import Attempt, not_run
from scanner.evidence.http import HttpEvidence
from scanner.evidence.tls import TlsEvidence


@dataclass(frozen=True, slots=True)
class CaaRecord:
    """A CAA record (RFC 8659)."""

    tag: str
    value: str
    critical: bool = False


@dataclass(frozen=True, slots=True)
class DnsEvidence:
    """What the DNS says of a name. `caa_domain` is the ancestor at which the records were found, if any."""

    addresses: tuple[str, ...] = ()
    caa: Attempt[tuple[CaaRecord, ...]] = field(default_factory=not_run)
    caa_domain: str | None = None


@dataclass(frozen=True, slots=True)
class TargetEvidence:
    """Everything observed at one target in one run.

    `tls` fails as a whole where no TLS engine got an answer, with the reason (refused, not TLS, …).
    `http` is NOT_RUN at endpoints that do not speak HTTP. `connections` counts TCP connections opened to the target.
    """

    started_at: datetime
    duration_s: float
    connections: int
    tls: Attempt[TlsEvidence] = field(default_factory=not_run)
    http: Attempt[HttpEvidence] = field(default_factory=not_run)
    dns: Attempt[DnsEvidence] = field(default_factory=not_run)


_TARGET_EVIDENCE: TypeAdapter[TargetEvidence] = TypeAdapter(TargetEvidence)


def to_json(evidence: TargetEvidence) -> bytes:
    """Serialise to compact JSON."""
    return _TARGET_EVIDENCE.dump_json(evidence, exclude_defaults=True)


def from_json(data: bytes | str) -> TargetEvidence:
    """Read what `to_json` wrote.

    Raises:
        pydantic.ValidationError: the data is not evidence of this version.
    """
    return _TARGET_EVIDENCE.validate_json(data)
