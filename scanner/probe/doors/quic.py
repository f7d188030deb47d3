"""One request over HTTP/3: a QUIC connection to an address, by aioquic, within bounds of time and size.

Certificates are read and not judged, as everywhere in the probes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from typing import Final

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import H3Event, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import ConnectionTerminated, HandshakeCompleted, QuicEvent
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct

from scanner.evidence import Failure, FailureReason
from scanner.untrusted import printable

_MOST_BYTES: Final = 65_536
"""Of the body, which nobody reads: the headers are all that is wanted."""
_NO_ERROR: Final = 0x100
_FINAL: Final = 200


class QuicAnswer(Struct, frozen=True):
    """What came back: the status, the leaf's fingerprint, and the header values of HSTS."""

    status: int
    certificate: str
    hsts: tuple[str, ...]


class _Client(QuicConnectionProtocol):  # type: ignore[misc]  # its types are left out
    """Sends one request as soon as the handshake is done, and keeps its answer."""

    def __init__(self, quic: QuicConnection, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__(quic)
        self.answered: asyncio.Future[QuicAnswer | Failure] = asyncio.get_running_loop().create_future()
        self._headers = headers
        self._http: H3Connection | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        """What the library calls for each thing that happens."""
        if isinstance(event, HandshakeCompleted):
            if event.alpn_protocol not in H3_ALPN:
                self._end(Failure.of(FailureReason.HANDSHAKE_FAILED, "the server does not choose h3"))
                return
            self._http = H3Connection(self._quic)
            self._http.send_headers(self._quic.get_next_available_stream_id(), self._headers, end_stream=True)
            self.transmit()
        elif isinstance(event, ConnectionTerminated):
            why = f"QUIC was ended by error {event.error_code:#x}: {printable(event.reason_phrase)}"
            self._end(Failure.of(FailureReason.HANDSHAKE_FAILED if self._http is None else FailureReason.RESET, why))
        if self._http is not None:
            for answer in self._http.handle_event(event):
                self._heard(answer)

    def error_received(self, exc: Exception) -> None:
        """The system tells that nothing listens there (ICMP)."""
        self._end(Failure.of(FailureReason.REFUSED, exc))

    def _heard(self, event: H3Event) -> None:
        if not isinstance(event, HeadersReceived):
            return
        values = dict(event.headers)
        status = values.get(b":status", b"")
        if not status.isdigit() or int(status[:4]) < _FINAL:
            return  # an interim answer
        # The library has no other way to what the server showed.
        leaf = self._quic.tls._peer_certificate  # noqa: SLF001  # as above
        certificate = hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest() if leaf is not None else ""
        hsts = tuple(
            printable(value.decode("latin-1")) for name, value in event.headers if name == b"strict-transport-security"
        )
        self._end(QuicAnswer(int(status[:4]), certificate, hsts))

    def _end(self, answer: QuicAnswer | Failure) -> None:
        if not self.answered.done():
            self.answered.set_result(answer)


async def ask(  # noqa: PLR0913  # what a connection and a request are made of
    place: tuple[str, int],
    host: str,
    authority: str,
    *,
    user_agent: str,
    seconds: float,
    source: str | None = None,
    named: bool = True,
) -> QuicAnswer | Failure:
    """Ask for "/" at an address and port. It raises nothing that a server can bring about.

    Args:
        place: where to, an address as a literal.
        host: the name that is asked for.
        authority: the same with its port, as a request carries it.
        user_agent: who asks.
        seconds: how long all of it may take.
        source: the address to ask from.
        named: whether the name is sent in the handshake, which an address is not.
    """
    configuration = QuicConfiguration(
        alpn_protocols=H3_ALPN,
        is_client=True,
        verify_mode=ssl.CERT_NONE,
        server_name=host if named else None,
        max_data=_MOST_BYTES,
        max_stream_data=_MOST_BYTES,
        idle_timeout=seconds,
    )
    headers = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", authority.encode("ascii", "replace")),
        (b":path", b"/"),
        (b"user-agent", user_agent.encode("latin-1", "replace")),
        (b"accept", b"*/*"),
    ]
    loop = asyncio.get_running_loop()
    transport: asyncio.DatagramTransport | None = None
    try:
        async with asyncio.timeout(seconds):
            transport, client = await loop.create_datagram_endpoint(
                lambda: _Client(QuicConnection(configuration=configuration), headers),
                remote_addr=None,
                local_addr=(source or ("::" if ":" in place[0] else "0.0.0.0"), 0),  # noqa: S104  # to ask from
            )
            client.connect(place)
            answer = await client.answered
            client.close(error_code=_NO_ERROR)
            return answer
    except TimeoutError:
        return Failure.of(FailureReason.TIMED_OUT, f"no answer over QUIC within {seconds:g} s")
    except OSError as error:
        return Failure.of(FailureReason.UNREACHABLE, error.strerror or error)
    except Exception as error:  # noqa: BLE001  # hostile datagrams reach a library that was not written for a scanner
        return Failure.of(FailureReason.ENGINE_ERROR, f"{type(error).__name__}: {error}")
    finally:
        if transport is not None:
            with contextlib.suppress(Exception):
                transport.close()
