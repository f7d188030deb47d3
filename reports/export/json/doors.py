"""What leads to a host beside its port, in the outer form."""

from __future__ import annotations

from datetime import datetime

from reports.export.json.base import Out
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
    """How it is advertised: `alt-svc`, `https-record`; if it is not, HTTP/3 was not tried."""
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
    """Other ways to reach the host than its port; what could not be determined is in `not_observed`."""

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
