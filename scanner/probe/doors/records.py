"""HTTPS records of the DNS (RFC 9460), and the Alt-Svc header (RFC 7838): where else a host is answered for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import dns.rdtypes.svcbbase

from scanner.evidence import Attempt, Failure, HttpsRecord
from scanner.probe.nameservers import ask
from scanner.untrusted import printable

HTTP3: Final = "h3"
_HTTPS_PORT: Final = 443
_MAX_RECORDS: Final = 20
_KEY = dns.rdtypes.svcbbase.ParamKey
_ALTERNATIVE: Final = re.compile(r'(?:^|,)\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*"([^"]{0,300})"')
_LONGEST: Final = 4_096


async def https_records_of(
    host: str, port: int, server: str | None, timeout_s: float
) -> Attempt[tuple[HttpsRecord, ...]]:
    """The records of an endpoint, those that clients prefer first; none where there are none. It raises nothing."""
    name = host if port == _HTTPS_PORT else f"_{port}._https.{host}"  # RFC 9460 section 9.1
    answer = await ask(server, name, "HTTPS", timeout_s)
    if isinstance(answer, Failure):
        return Attempt(failure=answer)
    records = [_read(record) for record in answer.found[:_MAX_RECORDS]]
    return Attempt.ok(tuple(sorted(records, key=lambda item: (item.priority, item.target))))


def _read(record: dns.rdtypes.svcbbase.SVCBBase) -> HttpsRecord:
    alpn, port = record.params.get(_KEY.ALPN), record.params.get(_KEY.PORT)
    names = tuple(printable(item.decode("ascii", "backslashreplace")) for item in alpn.ids) if alpn else ()
    if record.priority and _KEY.NO_DEFAULT_ALPN not in record.params:
        names = tuple(dict.fromkeys((*names, "http/1.1")))  # RFC 9460 section 7.1.2
    target = printable(record.target.to_text(omit_final_dot=True))
    return HttpsRecord(record.priority, target, names, port.port if port else None, _KEY.ECH in record.params)


def http3_in_records(records: Sequence[HttpsRecord], host: str, port: int) -> int | None:
    """The port at which they say that the host itself answers over HTTP/3; None where none says so."""
    for item in records:
        if item.priority and HTTP3 in item.alpn and item.target.lower() in {".", "", host}:
            return item.port or port
    return None


def http3_in_header(values: Sequence[str], host: str) -> int | None:
    """The port at which an Alt-Svc header says that the host itself answers over HTTP/3."""
    for protocol, authority in _alternatives(values):
        other, colon, port = authority.rpartition(":")
        if protocol == HTTP3 and colon and other.lower() in {"", host} and port.isascii() and port.isdecimal():
            number = int(port[:6])
            if 0 < number < 1 << 16:
                return number
    return None


def _alternatives(values: Sequence[str]) -> Iterator[tuple[str, str]]:
    for value in values:
        for match in _ALTERNATIVE.finditer(value[:_LONGEST]):
            yield match[1], match[2]
