"""Answers hellos as a server of the nineties did, and no more: no library has the ciphers that would come next.

What a server of that age accepts shows in its first answer alone. It is written with tlslite-ng's message classes; then
the connection stays open until the client leaves, as with any server that waits for its turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.serialization import Encoding
from tlslite.constants import (  # type: ignore[import-untyped]  # it ships no types
    AlertDescription,
    AlertLevel,
    CertificateType,
    ContentType,
    HandshakeType,
    SSL2HandshakeType,
)
from tlslite.messages import (  # type: ignore[import-untyped]  # it ships no types
    Alert,
    Certificate,
    ClientHello,
    RecordHeader2,
    RecordHeader3,
    ServerHello,
    ServerHello2,
    ServerHelloDone,
)
from tlslite.utils.codec import Parser  # type: ignore[import-untyped]  # it ships no types
from tlslite.x509 import X509  # type: ignore[import-untyped]  # it ships no types
from tlslite.x509certchain import X509CertChain  # type: ignore[import-untyped]  # it ships no types

from scanner.lab.connection import Connection

if TYPE_CHECKING:
    import socket

    from scanner.lab.case import HelloOnly
    from scanner.lab.certificates import Identity

_TLS1_0: Final = (3, 1)
_SSL2: Final = (0, 2)
_RECORD_HEAD: Final = 5
_RANDOM: Final = bytearray(32)
_SSL2_CERTIFICATE: Final = 1
_SSL2_MARK: Final = 0x80
_SSL2_HELLO: Final = bytes((SSL2HandshakeType.client_hello, *_SSL2))


class Server:
    """One server's identity, and its answers."""

    def __init__(self, options: HelloOnly, identity: Identity) -> None:
        """Prepare the chain once for all connections."""
        self._options = options
        self._leaf = bytearray(identity.chain[0].public_bytes(Encoding.DER))
        chain = []
        for one in identity.chain:
            certificate = X509()
            certificate.parseBinary(bytearray(one.public_bytes(Encoding.DER)))
            chain.append(certificate)
        self._chain = X509CertChain(chain)

    def handle(self, plain: socket.socket) -> None:
        """Answer one hello, and wait until the client leaves."""
        connection = Connection(plain)
        head = connection.read_exactly(_RECORD_HEAD) or b""
        if head[:1] == bytes([ContentType.handshake]):
            plain.sendall(self._tls(connection.read_exactly(int.from_bytes(head[3:], "big")) or b""))
        elif head and head[0] & _SSL2_MARK and head[2:] == _SSL2_HELLO and self._options.ssl2_ciphers:
            plain.sendall(self._ssl2())
        while plain.recv(65_536):
            pass

    def _ssl2(self) -> bytes:
        """All ciphers of the server: in SSL 2.0 the client chooses."""
        ciphers = list(self._options.ssl2_ciphers)
        hello = ServerHello2().create(0, _SSL2_CERTIFICATE, _SSL2, self._leaf, ciphers, bytearray(16))
        body = bytes(hello.write())
        return bytes(RecordHeader2().create(len(body)).write()) + body

    def _tls(self, record: bytes) -> bytes:
        parser = Parser(bytearray(record))
        if parser.get(1) != HandshakeType.client_hello:
            return _alert(AlertDescription.unexpected_message)
        hello = ClientHello().parse(parser)
        if tuple(hello.client_version) < _TLS1_0:
            return _alert(AlertDescription.protocol_version)
        suite = next((one for one in self._options.suites if one in hello.cipher_suites), None)
        if suite is None:
            return _alert(AlertDescription.handshake_failure)
        answer = ServerHello().create(_TLS1_0, _RANDOM, bytearray(0), suite)
        certificate = Certificate(CertificateType.x509, _TLS1_0).create(self._chain)
        messages = (answer, certificate, ServerHelloDone().create())
        return b"".join(_record(ContentType.handshake, bytes(message.write())) for message in messages)


def _alert(description: int) -> bytes:
    return _record(ContentType.alert, bytes(Alert().create(description, AlertLevel.fatal).write()))


def _record(content_type: int, body: bytes) -> bytes:
    return bytes(RecordHeader3().create(_TLS1_0, content_type, len(body)).write()) + body
