"""The TLS client of the HTTP probe: it accepts whatever a server has, because certificates are judged elsewhere."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from scanner.inventory import ClientCertificate

_LEGACY_SERVER_CONNECT: Final = 0x4  # ssl.OP_LEGACY_SERVER_CONNECT, which Python names from 3.12 on
_HANDSHAKE: Final = 22
_APPLICATION_DATA: Final = 23
_CERTIFICATE: Final = 11
_RECORD_HEAD: Final = 5


@dataclass
class HandshakeNotes:
    """What was noticed of one connection: whether the server asked for a client certificate, at first or later."""

    certificate_requested: bool = False


class WatchedClient(ssl.SSLObject):
    """The client's side of a TLS connection, which tells when the server asks for a certificate.

    Python does not say so, and an alert alone does not say why it was sent. But a client answers a CertificateRequest
    by a Certificate message, be it an empty one, and sends none otherwise (RFC 5246 section 7.4.6, RFC 8446 section
    4.4.2): so its own messages tell.
    """

    outgoing: ssl.MemoryBIO
    notes: HandshakeNotes

    def do_handshake(self) -> None:
        """Take the next step of the handshake."""
        try:
            super().do_handshake()
        finally:
            self._look(begun=False)

    def receive(self, most: int) -> bytes:
        """Read at most so many bytes, as `read` does."""
        try:
            return self.read(most)
        finally:
            self._look(begun=True)

    def _look(self, *, begun: bool) -> None:
        """Look at what is to be sent, be it in answer to a request for a certificate after the handshake."""
        if self.outgoing.pending:
            flight = self.outgoing.read()
            self.outgoing.write(flight)
            self.notes.certificate_requested |= _holds_certificate(flight) or (begun and _negotiates(flight))


def _holds_certificate(flight: bytes) -> bool:
    """Whether a Certificate message is among what a client sends at once.

    Up to TLS 1.2 it can be read. In TLS 1.3 it is encrypted, but a client that was not asked sends one encrypted record
    to end the handshake, which holds its Finished.
    """
    encrypted = position = 0
    while position + _RECORD_HEAD < len(flight):
        kind, message = flight[position], flight[position + _RECORD_HEAD]
        if kind == _HANDSHAKE and message == _CERTIFICATE:
            return True
        encrypted += kind == _APPLICATION_DATA
        position += _RECORD_HEAD + int.from_bytes(flight[position + 3 : position + _RECORD_HEAD])
    return encrypted > 1


def _negotiates(flight: bytes) -> bool:
    """Whether a client that has made its handshake begins another.

    After the first one, up to TLS 1.2, that is a server's renegotiation: since there are no more export suites it is
    for nothing but a client certificate. In TLS 1.3 every record looks like application data.
    """
    position = 0
    while position + _RECORD_HEAD < len(flight):
        if flight[position] == _HANDSHAKE:
            return True
        position += _RECORD_HEAD + int.from_bytes(flight[position + 3 : position + _RECORD_HEAD])
    return False


@lru_cache(maxsize=2)
def anonymous_context(*, http2: bool) -> ssl.SSLContext:
    """The context of a client without a certificate. One serves all connections: to make it takes as long as a request.

    One for each of HTTP/2 and HTTP/1.1, because the application protocols are part of it.
    """
    return tolerant_context(None, http2=http2)


def tolerant_context(identity: ClientCertificate | None, *, http2: bool = False) -> ssl.SSLContext:
    """A client context that speaks TLS 1.0 to 1.3 with any cipher suite and any certificate.

    So enforcement can be seen at servers whose TLS is bad, too.

    Raises:
        OSError: the identity's files cannot be read, or are no certificate and key (`ssl.SSLError`).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    context.options |= _LEGACY_SERVER_CONNECT
    context.post_handshake_auth = True  # servers that want a certificate for some paths alone ask for it late
    if identity is not None:
        context.load_cert_chain(identity.cert, identity.key)
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    context.sslobject_class = WatchedClient
    return context


def verifying_context() -> ssl.SSLContext:
    """A client context that accepts what the system trusts alone: for a proxy, which is given a password."""
    context = ssl.create_default_context()
    context.sslobject_class = WatchedClient
    return context


def watched_client(
    context: ssl.SSLContext,
    incoming: ssl.MemoryBIO,
    outgoing: ssl.MemoryBIO,
    server_hostname: str | None,
    notes: HandshakeNotes,
) -> WatchedClient:
    """The client's side of a connection under one of the contexts of this module.

    Let `notes` refer to nothing that leads back to it: the garbage collector does not see through TLS objects.
    """
    watched = context.wrap_bio(incoming, outgoing, server_hostname=server_hostname)
    assert isinstance(watched, WatchedClient)  # noqa: S101  # its class is set above
    watched.outgoing, watched.notes = outgoing, notes
    return watched


@contextlib.contextmanager
def unissued_certificate() -> Iterator[ClientCertificate]:
    """A client certificate that nobody has issued: self-signed, with a new key, gone when the context ends."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Nightseal probe, not to be trusted")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory(prefix="nightseal-") as folder:
        identity = ClientCertificate(Path(folder, "client.pem"), Path(folder, "client.key"))
        identity.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        identity.key.touch(mode=0o600)
        identity.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        yield identity


def unusable(identity: ClientCertificate) -> str | None:
    """Why a client certificate cannot be used, None where it can."""
    try:
        tolerant_context(identity)
    except OSError as error:
        return error.strerror or str(error)
    return None
