"""One exchange as one state machine: what happens on a connection goes in, what is to be sent and the result come out.

No sockets and no clock: `client` has those, and tells this machine what came of them. All that changes during an
exchange is here, and in the protocol (`http1`, `http2`) that reads the response.

    connecting → asking → reading → finished
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from scanner.evidence import Failure, FailureReason
from scanner.probe.http.decoding import decoded
from scanner.probe.http.headers import values_of
from scanner.probe.http.http1 import HEAD_LIMIT, HEADERS_TOO_LARGE, Http1
from scanner.probe.http.http2 import Http2
from scanner.probe.http.messages import Body, Event, Head, NoResponse, ProtocolError, Request, Response

_FRAMING: Final = 2
"""A server may send so many bytes besides the head, and so many times the longest body: chunks have their framing."""
_TLS_RECORDS: Final = (b"\x15\x03", b"\x16\x03")
"""How an alert and a handshake record begin (RFC 8446 section 5.1)."""
_BODILESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_BROKEN_OFF: Final = frozenset({FailureReason.RESET, FailureReason.MALFORMED})
_SMALLEST_WINDOW: Final = 65_535
HTTP2_PROTOCOL: Final = "h2"
"""HTTP/2's name in ALPN (RFC 9113 section 3.1)."""


_OF_A_PROXY: Final = frozenset({407, 502, 503, 504})
"""Statuses by which a proxy says that it reached no server: whoever else sent one, it tells nothing of the server."""


class ExchangeState(StrEnum):
    """How far an exchange is."""

    CONNECTING = "connecting"
    ASKING = "asking"
    READING = "reading"
    FINISHED = "finished"


class Exchange:
    """One request and what came of it.

    Args:
        request: what is asked.
        user_agent: what the scanner calls itself.
        max_body_bytes: where the reading of a body stops.
        headers: what is sent besides, with each request; a User-Agent among them takes the place of the other.
        for_proxy: headers for a proxy that forwards plain HTTP; None where the request does not go to one.
    """

    def __init__(
        self,
        request: Request,
        *,
        user_agent: str,
        max_body_bytes: int,
        for_proxy: tuple[tuple[str, str], ...] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.state = ExchangeState.CONNECTING
        self.connected = False
        self.certificate_requested = False
        self._request = request
        self._user_agent = user_agent
        self._max_body_bytes = max_body_bytes
        self._for_proxy = for_proxy
        self._more = headers
        self._protocol: Http1 | Http2 | None = None
        self._allowance = HEAD_LIMIT + _FRAMING * max_body_bytes
        self._beginning = b""
        self._head: Head | None = None
        self._body = bytearray()
        self._whole = False
        self._failure: Failure | None = None
        self._http11_demanded = False

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be sent or read."""
        return self.state is ExchangeState.FINISHED

    def connection_made(self) -> None:
        """The TCP connection is there."""
        self.connected = True

    def certificate_was_requested(self) -> None:
        """The server asked for a client certificate: in the handshake, or once it had seen the request."""
        self.certificate_requested = True

    def ready(self, application_protocol: str | None = None) -> None:
        """The request may be sent, by the protocol that TLS agreed on (ALPN), HTTP/1.1 where there is none."""
        over_http2 = application_protocol == HTTP2_PROTOCOL and self._request.http2
        self._protocol = self._over_http2() if over_http2 else self._over_http1()
        self.state = ExchangeState.ASKING

    def data_to_send(self) -> bytes:
        """What is to be sent now; empty where there is nothing."""
        return b"" if self.finished or self._protocol is None else self._protocol.data_to_send()

    def receive(self, data: bytes) -> None:
        """What the server sent next; empty where it ended the connection."""
        if self.finished or self._protocol is None:
            return
        self.state = ExchangeState.READING
        self._allowance -= len(data)
        if self._speaks_tls(data):
            self.fail(Failure.of(FailureReason.TLS_ONLY, "the port answers plain HTTP with TLS"))
            return
        if self._allowance < 0:
            text = HEADERS_TOO_LARGE if self._head is None else "the body is too large"
            self.fail(Failure.of(FailureReason.TOO_LARGE, text))
            return
        try:
            for event in self._protocol.receive(data):
                self._take(event)
                if self.finished:
                    return
        except ProtocolError as error:
            self._http11_demanded = error.http11
            self.fail(error.failure)

    def fail(self, failure: Failure) -> None:
        """The connection, the protocol or the clock ended it; what was received by then is kept."""
        if self.finished:
            return
        if self._head is None and self._protocol is not None:
            self._head = self._protocol.cut()
        self._failure = failure
        self.state = ExchangeState.FINISHED

    @property
    def worth_http11(self) -> bool:
        """Whether it broke off over HTTP/2 in a way that HTTP/1.1 may not."""
        broken = self._failure is not None and self._failure.reason in _BROKEN_OFF
        return isinstance(self._protocol, Http2) and (broken or self._http11_demanded)

    @property
    def demands_http11(self) -> bool:
        """Whether the server said so itself (RFC 9113 section 7, HTTP_1_1_REQUIRED)."""
        return self._http11_demanded

    def result(self) -> Response | NoResponse:
        """What came of it, once it is finished."""
        head, failure = self._head, self._failure
        if head is None:
            return NoResponse(failure or Failure(FailureReason.RESET), self.connected)
        limit = self._max_body_bytes
        body, whole = decoded(bytes(self._body[:limit]), values_of(head.headers, b"content-encoding"), limit)
        return Response(
            head.status,
            head.http_version,
            head.headers,
            body,
            truncated=not (self._whole and whole),
            incomplete=failure,
            headers_cut=not head.whole,
            irregularities=head.irregularities,
            certificate_requested=self.certificate_requested,
        )

    def _take(self, event: Event) -> None:
        if isinstance(event, Head):
            if self._for_proxy is not None and event.status in _OF_A_PROXY:
                self.connected = False
                detail = f"the proxy does not connect: {event.status}"
                self._failure, self.state = Failure(FailureReason.UNREACHABLE, detail), ExchangeState.FINISHED
                return
            self._head = event
        elif isinstance(event, Body):
            self._body += event.data
            if len(self._body) > self._max_body_bytes:
                self.state = ExchangeState.FINISHED
        else:
            self._whole = True
            self.state = ExchangeState.FINISHED

    def _speaks_tls(self, data: bytes) -> bool:
        """Whether a port of plain HTTP answers in TLS, by the first two bytes that it sent."""
        size = len(_TLS_RECORDS[0])
        if self._request.url.scheme == "https" or len(self._beginning) >= size:
            return False
        self._beginning = (self._beginning + data)[:size]
        return self._beginning.startswith(_TLS_RECORDS)

    def _over_http1(self) -> Http1:
        request = self._request
        target = request.url.target if self._for_proxy is None else str(request.url)
        headers = [("Host", request.url.authority), *self._headers(), *(self._for_proxy or ())]
        return Http1(request.method, target, headers, request.body)

    def _over_http2(self) -> Http2:
        url = self._request.url
        pseudo = [
            (":method", self._request.method),
            (":authority", url.authority),
            (":scheme", url.scheme),
            (":path", url.target),
        ]
        window = max(_SMALLEST_WINDOW, self._max_body_bytes + 1)
        return Http2([*pseudo, *self._headers()], self._request.body, window=window)

    def _headers(self) -> list[tuple[str, str]]:
        request = self._request
        length = () if request.method in _BODILESS else (("Content-Length", str(len(request.body))),)
        named = {name.lower() for name, _ in (*self._more, *request.headers)}
        usual = (("User-Agent", self._user_agent), ("Accept-Encoding", "identity"))
        return [*(item for item in usual if item[0].lower() not in named), *self._more, *request.headers, *length]
