"""HTTP/1.1 as a state machine: a request becomes bytes, bytes become a response. No sockets (RFC 9112).

h11 writes the request and reads the body. The head is read here, because h11 gives up a whole response for one bad
line, and browsers do not: they leave out the line. What is left out or put right is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import h11

from scanner.evidence import Failure, FailureReason
from scanner.probe.http.headers import Headers, values_of
from scanner.probe.http.messages import Body, End, Event, Head, ProtocolError
from scanner.untrusted import printable

HEAD_LIMIT: Final = 262_144
"""Bytes of status line and headers, as in Chromium."""
HEADERS_TOO_LARGE: Final = "the headers are too large"

_STATUS_LINE: Final = re.compile(rb"(?i:HTTP)/(\d(?:\.\d)?)[ \t]+(\d{3})(?:[ \t].*)?")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_BLANK: Final = b" \t"
_FIRST_FINAL: Final = 200
_SWITCHING_PROTOCOLS: Final = 101
_BODILESS: Final = frozenset({204, 304})
_MOST_IRREGULARITIES: Final = 10
_LONGEST_NAME: Final = 60


class Http1:
    """One request over HTTP/1.1 and its response."""

    def __init__(self, method: str, target: str, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self._method = method
        self._connection = h11.Connection(h11.CLIENT)
        request = h11.Request(method=method, target=target, headers=list(headers))
        self._outgoing = self._sent(request) + (self._sent(h11.Data(data=body)) if body else b"")
        self._outgoing += self._sent(h11.EndOfMessage())
        self._head = _HeadReader()
        self._in_body = False
        self._lengths: set[int] = set()
        self._received = 0

    def _sent(self, event: h11.Event) -> bytes:
        return self._connection.send(event) or b""

    def data_to_send(self) -> bytes:
        """What is to be sent now; empty where there is nothing."""
        data, self._outgoing = self._outgoing, b""
        return data

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the server sent next; empty where it ended the connection.

        Raises:
            ProtocolError: it is not HTTP, is too large, or broke off.
        """
        if not self._in_body:
            head, data = self._read_head(data)
            if head is None:
                return
            yield head
            self._in_body = True
            self._lengths = content_lengths(head.headers)
            self._connection.receive_data(_framing(head, self._method))
            if not data:
                yield from self._body()
                return
        self._connection.receive_data(data)
        yield from self._body()

    def cut(self) -> Head | None:
        """What was read of a head that broke off: None where not even its status line came."""
        head = None if self._in_body else self._head.cut()
        return None if head is not None and _is_provisional(head) else head

    def _read_head(self, data: bytes) -> tuple[Head | None, bytes]:
        if not data:
            text = "the server closed the connection " + ("within the headers" if self._head.begun else "")
            raise ProtocolError(Failure.of(FailureReason.RESET, text.rstrip()))
        while True:
            head, data = self._head.feed(data)
            if head is None or not _is_provisional(head):
                return head, data
            self._head = _HeadReader(self._head.left)

    def _body(self) -> Iterator[Event]:
        try:
            while not isinstance(event := self._connection.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                if isinstance(event, h11.Data):
                    self._received += len(event.data)
                    yield Body(bytes(event.data))
        except h11.RemoteProtocolError as error:
            # Of several lengths that were announced a shorter one was right.
            if self._received not in self._lengths:
                raise ProtocolError(_of_h11(error)) from error
        yield End()


def _is_provisional(head: Head) -> bool:
    """Whether another response follows, which is the one that counts (RFC 9110 section 15.2)."""
    return head.status < _FIRST_FINAL and head.status != _SWITCHING_PROTOCOLS


def _of_h11(error: h11.RemoteProtocolError) -> Failure:
    text = str(error)
    if "closed connection" in text or "without sending" in text:
        return Failure.of(FailureReason.RESET, "the server closed the connection within the body")
    return Failure.of(FailureReason.MALFORMED, f"the body is malformed: {text}")


class _HeadReader:
    """Reads status line and headers, line by line, to the empty line that ends them."""

    def __init__(self, left: int = HEAD_LIMIT) -> None:
        self.left = left
        self._pending = bytearray()
        self._searched = 0
        self._status: tuple[bytes, int] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._irregularities: list[str] = []

    @property
    def begun(self) -> bool:
        """Whether anything came."""
        return self._status is not None or bool(self._pending)

    def feed(self, data: bytes) -> tuple[Head | None, bytes]:
        """The head, once it is there, and what came behind it."""
        self._pending += data
        while (end := self._pending.find(b"\n", self._searched)) >= 0:
            line = bytes(self._pending[:end]).removesuffix(b"\r")
            del self._pending[: end + 1]
            self._searched = 0
            self.left -= end + 1
            if self.left < 0:
                break
            if self._status is None:
                self._start(line)
            elif line:
                self._header(line)
            else:
                return self._done(whole=True), bytes(self._pending)
        self._searched = len(self._pending)
        if len(self._pending) > self.left:
            raise ProtocolError(Failure.of(FailureReason.TOO_LARGE, HEADERS_TOO_LARGE))
        if self._status is None and not _may_begin(self._pending):
            raise ProtocolError(_no_http())
        return None, b""

    def cut(self) -> Head | None:
        """What is there of a head that broke off; half a line is left out."""
        return None if self._status is None else self._done(whole=False)

    def _done(self, *, whole: bool) -> Head:
        assert self._status is not None  # noqa: S101  # only called where it is set
        version, status = self._status
        told = tuple(dict.fromkeys((*self._irregularities, *_irregular_framing(self._headers))))
        return Head(status, f"HTTP/{version.decode('ascii')}", tuple(self._headers), told, whole=whole)

    def _start(self, line: bytes) -> None:
        if not line:
            self._note("an empty line before the status line")
            return
        found = _STATUS_LINE.fullmatch(line)
        if found is None or found[2] < b"100":
            raise ProtocolError(_no_http())
        if not line.startswith(b"HTTP"):
            self._note("a status line that does not write HTTP in capitals")
        self._status = found[1], int(found[2])

    def _header(self, line: bytes) -> None:
        if line[:1] in {b" ", b"\t"}:
            if self._headers:  # an old way to go on in the next line (RFC 9112 section 5.2)
                name, value = self._headers[-1]
                self._headers[-1] = name, value + b" " + line.strip(_BLANK)
                self._note("a header that continues on the next line", name)
            else:
                self._note("a blank line in place of a header")
            return
        name, colon, value = line.partition(b":")
        trimmed = name.rstrip(_BLANK)
        if not colon:
            self._note("a header line without a colon", name)
        elif not _TOKEN.fullmatch(trimmed):
            self._note("a header whose name is malformed", name)
        elif _CONTROLS.search(value):
            self._note("a header with control characters", name)
        else:
            if trimmed != name:
                self._note("a space before the colon", trimmed)
            self._headers.append((trimmed, value.strip(_BLANK)))

    def _note(self, text: str, name: bytes = b"") -> None:
        if len(self._irregularities) < _MOST_IRREGULARITIES:
            self._irregularities.append(f"{text}: {printable(name, _LONGEST_NAME)}" if name else text)


def _irregular_framing(headers: Headers) -> Iterator[str]:
    """What is wrong with what a head says of its body's length."""
    values, lengths = values_of(headers, b"content-length"), content_lengths(headers)
    if len(lengths) > 1:
        yield f"several values of Content-Length: {', '.join(map(str, sorted(lengths)))}"
    if any(not part.strip(_BLANK).isdigit() for value in values for part in value.split(b",")):
        yield "a Content-Length that is not a number"
    if values and values_of(headers, b"transfer-encoding"):
        yield "Content-Length together with Transfer-Encoding"


def _may_begin(pending: bytearray) -> bool:
    """Whether a status line may come of this, which has no end yet; one byte alone decides nothing."""
    text = pending.lstrip(b"\r\n")[:5]
    return len(text) <= 1 or b"HTTP/".startswith(text.upper())


def _no_http() -> Failure:
    return Failure.of(FailureReason.MALFORMED, "the answer is not HTTP")


def _framing(head: Head, method: str) -> bytes:
    """A head that h11 takes, which says how the body ends and nothing else (RFC 9112 section 6.3)."""
    if method == "HEAD" or head.status in _BODILESS or head.status < _FIRST_FINAL:
        return b"HTTP/1.1 204 No Content\r\n\r\n"
    codings = b",".join(values_of(head.headers, b"transfer-encoding")).lower()
    if codings.rpartition(b",")[2].strip(_BLANK) == b"chunked":
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    lengths = content_lengths(head.headers)
    # Several lengths: the longest, which the end of the connection may cut short.
    length = b"Content-Length: %d\r\n" % max(lengths) if lengths and not codings else b"Connection: close\r\n"
    return b"HTTP/1.1 200 OK\r\n" + length + b"\r\n"


def content_lengths(headers: Headers) -> set[int]:
    """The different lengths that a head announces, what is not a length left out."""
    parts = b",".join(values_of(headers, b"content-length")).split(b",")
    return {int(part) for raw in parts if (part := raw.strip(_BLANK)).isdigit() and len(part) <= 18}  # noqa: PLR2004
