"""HTTP/2 as a state machine, over h2: a request becomes bytes, bytes become a response. No sockets (RFC 9113)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from scanner.evidence import Failure, FailureReason
from scanner.probe.http.http1 import HEAD_LIMIT, HEADERS_TOO_LARGE
from scanner.probe.http.messages import Body, End, Event, Head, ProtocolError

_VERSION: Final = "HTTP/2"
_STATUSES: Final = range(100, 1000)
_HOP_BY_HOP: Final = frozenset({"host", "connection", "transfer-encoding"})
"""Headers that are said otherwise in HTTP/2, or not at all."""


class Http2:
    """One request over HTTP/2 and its response. `window` is how many bytes of a body are taken at once."""

    def __init__(self, request: Sequence[tuple[str, str]], body: bytes, *, window: int) -> None:
        """`request` are the pseudo-headers (`:method`, …) and the headers."""
        config = h2.config.H2Configuration(client_side=True, header_encoding=None)
        self._connection = h2.connection.H2Connection(config)
        self._connection.local_settings = h2.settings.Settings(
            client=True,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: HEAD_LIMIT,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window,
            },
        )
        del self._connection.local_settings[h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL]  # some servers balk at it
        self._connection.initiate_connection()
        self._connection.increment_flow_control_window(window)
        headers = [(name.lower(), value) for name, value in request if name.lower() not in _HOP_BY_HOP]
        self._stream = self._connection.get_next_available_stream_id()
        self._connection.send_headers(self._stream, headers, end_stream=not body)
        if body:
            # What a request of this scanner carries is shorter than any window that a server opens with.
            self._connection.send_data(self._stream, body, end_stream=True)
        self._ended = False

    def data_to_send(self) -> bytes:
        """What is to be sent now; empty where there is nothing."""
        return self._connection.data_to_send()

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the server sent next; empty where it ended the connection.

        Raises:
            ProtocolError: it is not HTTP/2, is too large, or broke off.
        """
        if not data:
            raise ProtocolError(Failure.of(FailureReason.RESET, "the server closed the connection over HTTP/2"))
        try:
            events = self._connection.receive_data(data)
        except h2.exceptions.DenialOfServiceError as error:
            raise ProtocolError(Failure.of(FailureReason.TOO_LARGE, HEADERS_TOO_LARGE)) from error
        except (h2.exceptions.H2Error, ValueError) as error:
            raise ProtocolError(_malformed()) from error
        for event in events:
            yield from self._event(event)

    def cut(self) -> Head | None:  # one of two protocols with the same face
        """What was read of a head that broke off: h2 tells of whole ones alone."""
        return None

    def _event(self, event: h2.events.Event) -> Iterator[Event]:
        if isinstance(event, h2.events.ConnectionTerminated) and not self._ended:
            raise ProtocolError(_ended("the server ended the connection", event.error_code), http11=_http11(event))
        if getattr(event, "stream_id", None) != self._stream:
            return
        if isinstance(event, h2.events.ResponseReceived):
            yield _head(event)
        elif isinstance(event, h2.events.DataReceived):
            yield Body(event.data or b"")
            if event.flow_controlled_length:
                self._connection.acknowledge_received_data(event.flow_controlled_length, self._stream)
        elif isinstance(event, h2.events.StreamReset):
            raise ProtocolError(_ended("the server reset the stream", event.error_code), http11=_http11(event))
        elif isinstance(event, h2.events.StreamEnded):
            self._ended = True
            yield End()


def _head(event: h2.events.ResponseReceived) -> Head:
    headers = [(bytes(name), bytes(value)) for name, value in event.headers or ()]
    text = next((value for name, value in headers if name == b":status"), b"")
    if not text.isdigit() or int(text[:4]) not in _STATUSES:
        raise ProtocolError(_malformed())
    return Head(int(text), _VERSION, tuple(item for item in headers if not item[0].startswith(b":")))


def _malformed() -> Failure:
    return Failure.of(FailureReason.MALFORMED, "the server's HTTP/2 is malformed")


def _http11(event: h2.events.ConnectionTerminated | h2.events.StreamReset) -> bool:
    return event.error_code == h2.errors.ErrorCodes.HTTP_1_1_REQUIRED


def _ended(text: str, code: int | None) -> Failure:
    """How a server ended it over HTTP/2, with the name that the protocol has for its reason."""
    try:
        name = h2.errors.ErrorCodes(code or 0).name
    except ValueError:
        name = f"error {code}"
    return Failure.of(FailureReason.RESET, f"{text} over HTTP/2: {name}")
