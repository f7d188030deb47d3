"""A request, what may come back, and the events of which a response is made."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from scanner.evidence import Failure
from scanner.inventory import ClientCertificate
from scanner.probe.http.headers import Headers
from scanner.probe.http.url import Url


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `destination` is the address and port to connect to, whatever the URL says."""

    method: str
    url: Url
    destination: tuple[str, int]
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    identity: ClientCertificate | None = None
    http2: bool = True


class Response(Struct, frozen=True):
    """What came back.

    `truncated`: the body is not the whole: too long, too slow, broken off, or in another coding. `incomplete` says why
    the response was not read to its end, where the server or the clock ended it; `headers_cut` that it broke off
    within its headers, so that a header which is not there is unknown. `irregularities` are the faults that were
    overlooked, as browsers overlook them. `certificate_requested`: the server asked for a client certificate.
    """

    status: int
    http_version: str
    headers: Headers
    body: bytes
    truncated: bool
    incomplete: Failure | None = None
    headers_cut: bool = False
    irregularities: tuple[str, ...] = ()
    certificate_requested: bool = False


class NoResponse(Struct, frozen=True):
    """Why nothing came back; `connected` tells whether the connection had been made by then."""

    failure: Failure
    connected: bool


class Head(Struct, frozen=True):
    """Status line and headers. `whole` is false where the connection ended within them."""

    status: int
    http_version: str
    headers: Headers
    irregularities: tuple[str, ...] = ()
    whole: bool = True


class Body(Struct, frozen=True):
    """A part of the body."""

    data: bytes


class End(Struct, frozen=True):
    """The end of the response, as it was announced."""


Event = Head | Body | End


class ProtocolError(Exception):
    """The server broke the protocol, or the response broke off. `http11`: it asked for HTTP/1.1 instead."""

    def __init__(self, failure: Failure, *, http11: bool = False) -> None:
        super().__init__(failure.detail)
        self.failure = failure
        self.http11 = http11
