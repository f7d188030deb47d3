"""What leads to a host beside its port, in the outer form."""

from __future__ import annotations

from datetime import datetime

from reports.export.json_base import Out
from scanner.evidence import FrontDoors


class HttpsRecordOut(Out):
    """An HTTPS record of the DNS."""

    priority: int
    target: str
    alpn: list[str]
    port: int | None
    ech: bool
    """It carries the keys of Encrypted Client Hello."""


class Http3Out(Out):
    """What answers over QUIC where HTTP/3 is advertised."""

    advertised: list[str]
    """By what: `alt-svc`, `https-record`; where by nothing, nobody was asked."""
    port: int | None
    status: int | None
    certificate: str
    """The fingerprint of the leaf."""
    hsts: list[str]


class PreloadingOut(Out):
    """Whether Chromium's list has the host."""

    listed: bool
    date: datetime
    """Of the list."""


class Doors(Out):
    """What leads to the host beside its port. What was not found out is None, and stands in `not_observed`."""

    https_records: list[HttpsRecordOut] | None
    http3: Http3Out | None
    preloading: PreloadingOut | None


def doors_of(doors: FrontDoors) -> Doors:
    """In the outer form."""
    records, http3, preloading = doors.https_records.value, doors.http3.value, doors.preloading.value
    return Doors(
        https_records=None
        if records is None
        else [
            HttpsRecordOut(
                priority=item.priority, target=item.target, alpn=list(item.alpn), port=item.port, ech=item.ech
            )
            for item in records
        ],
        http3=Http3Out(
            advertised=list(http3.advertised),
            port=http3.port,
            status=http3.status,
            certificate=http3.certificate,
            hsts=list(http3.hsts),
        )
        if http3
        else None,
        preloading=PreloadingOut(listed=preloading.listed, date=preloading.date) if preloading else None,
    )
