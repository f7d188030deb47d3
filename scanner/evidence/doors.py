"""Ways to a host that a connection to its port does not show: what the DNS and the answer itself advertise."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from scanner.evidence.attempt import Attempt, not_run


@dataclass(frozen=True, slots=True)
class HttpsRecord:
    """An HTTPS record of the DNS (RFC 9460). `target` is "." for the name itself; priority 0 makes it an alias.

    `alpn` are the protocols that it lists, `port` where they are spoken, None for the usual one. `ech` tells whether it
    carries the keys of Encrypted Client Hello (RFC 9849).
    """

    priority: int
    target: str
    alpn: tuple[str, ...] = ()
    port: int | None = None
    ech: bool = False


@dataclass(frozen=True, slots=True)
class Http3:
    """What answers over QUIC where HTTP/3 is advertised; the same was seen on two connections.

    `advertised` tells by what: `alt-svc`, `https-record`, or nothing, and then nobody was asked. `certificate` is the
    fingerprint of the leaf (SHA-256, hexadecimal), `hsts` the raw header values.
    """

    advertised: tuple[str, ...] = ()
    port: int | None = None
    status: int | None = None
    certificate: str = ""
    hsts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preloading:
    """Whether browsers that carry Chromium's list of that day use HTTPS alone for the host."""

    listed: bool
    date: datetime


@dataclass(frozen=True, slots=True)
class FrontDoors:
    """What leads to a host beside its port. Each is asked only where a rule judges it."""

    https_records: Attempt[tuple[HttpsRecord, ...]] = field(default_factory=not_run)
    http3: Attempt[Http3] = field(default_factory=not_run)
    preloading: Attempt[Preloading] = field(default_factory=not_run)
