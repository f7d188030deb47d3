"""A real server of HTTP/3 on loopback, by aioquic, in a thread of its own: one answer, whatever is asked."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from aioquic.asyncio import serve
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated, QuicEvent


class Http3Server:
    """What was asked of it: the connections and the hosts. `hsts` are the headers of each answer, in turn."""

    def __init__(self, hsts: Sequence[str | None]) -> None:
        self.hsts = list(hsts)
        self.connections = 0
        self.authorities: list[str] = []

    def protocol(self, *arguments: object, **named: object) -> QuicConnectionProtocol:
        """One connection."""
        self.connections += 1
        made = _Connection(*arguments, **named)  # type: ignore[arg-type]  # aioquic's own
        made.server = self
        return made


class _Connection(QuicConnectionProtocol):
    server: Http3Server
    _http: H3Connection | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ProtocolNegotiated):
            self._http = H3Connection(self._quic)
        for heard in self._http.handle_event(event) if self._http else ():
            if isinstance(heard, HeadersReceived):
                self.server.authorities.append(dict(heard.headers)[b":authority"].decode())
                hsts = self.server.hsts[(self.server.connections - 1) % len(self.server.hsts)]
                headers = [(b":status", b"200"), (b"server", b"aioquic")]
                headers += [(b"strict-transport-security", hsts.encode())] if hsts else []
                self._http.send_headers(heard.stream_id, headers)
                self._http.send_data(heard.stream_id, b"fine", end_stream=True)
                self.transmit()


@contextlib.contextmanager
def http3_server(identity: Path, port: int, *hsts: str | None) -> Iterator[Http3Server]:
    """Listen at a UDP port of 127.0.0.1 with the certificate and key of that file."""
    server, loop = Http3Server(hsts or (None,)), asyncio.new_event_loop()
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(identity, identity)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    starting = serve("127.0.0.1", port, configuration=configuration, create_protocol=server.protocol)
    listening = asyncio.run_coroutine_threadsafe(starting, loop).result(60)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(listening.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
