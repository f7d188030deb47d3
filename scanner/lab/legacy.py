"""Serves the cases that OpenSSL 3 no longer can, by tlslite-ng, and makes its server do what it rightly does not do.

tlslite-ng is pure Python: slow, and thereby easy to lead astray. All of that is in `_FlawedConnection`.
"""

from __future__ import annotations

import contextlib
import zlib
from typing import TYPE_CHECKING, Any, Final

from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey  # type: ignore[import-untyped]
from tlslite.constants import CipherSuite, ExtensionType  # type: ignore[import-untyped]
from tlslite.errors import TLSError  # type: ignore[import-untyped]
from tlslite.messages import ClientHello, Message  # type: ignore[import-untyped]
from tlslite.recordlayer import RecordLayer  # type: ignore[import-untyped]
from tlslite.utils.codec import Parser  # type: ignore[import-untyped]

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from scanner.lab.case import TlsLite
    from scanner.lab.certificates import Identity

# What tlslite lets out when a client sends it nonsense: its own errors, and those of its parsers.
ERRORS: Final = (TLSError, SyntaxError, AssertionError, AttributeError, IndexError, KeyError, TypeError)

_DEFLATE: Final = 1
_VERSIONS: Final = ((3, 4), (3, 3), (3, 2), (3, 1), (3, 0))


class Server:
    """One server's settings, and the upgrade of a connection by them."""

    def __init__(self, options: TlsLite, identity: Identity) -> None:
        """Prepare key, chain and settings once for all connections."""
        self._options = options
        self._chain = X509CertChain()
        self._chain.parsePemList(identity.chain_pem.decode())
        self._key = parsePEMKey(identity.key_pem.decode(), private=True)
        self._settings = _settings(options)

    @contextlib.contextmanager
    def secured(self, plain: socket.socket) -> Iterator[_FlawedConnection]:
        """Upgrade an accepted connection to TLS and close it in good order afterwards."""
        connection = _FlawedConnection(plain, self._options)
        connection.handshakeServer(certChain=self._chain, privateKey=self._key, settings=self._settings)
        yield connection
        connection.close()


def _settings(options: TlsLite) -> Any:
    settings = HandshakeSettings()
    settings.minVersion, settings.maxVersion = options.minimum, options.maximum
    settings.versions = [version for version in _VERSIONS if options.minimum <= version <= options.maximum]
    settings.cipherNames = list(options.ciphers)
    settings.macNames = list(options.macs)
    settings.keyExchangeNames = list(options.key_exchanges)
    settings.useExtendedMasterSecret = options.extended_master_secret
    settings.rsaSigHashes = list(options.signature_hashes)
    settings.ecdsaSigHashes = list(options.signature_hashes)
    settings.more_sig_schemes = []
    settings.use_heartbeat_extension = False
    settings.ticket_count = 0
    settings.dhParams = options.dh_parameters
    if options.dh_parameters is not None:
        settings.dhGroups = []
    return settings


class _FlawedConnection(TLSConnection):  # type: ignore[misc]
    """A server's side of a connection which leaves protections out, as the options say."""

    def __init__(self, plain: socket.socket, options: TlsLite) -> None:
        super().__init__(plain)
        self._options = options
        if options.compression:
            self._recordLayer = _CompressingRecordLayer(plain)

    def _getMsg(self, *arguments: Any) -> Iterator[Any]:  # noqa: N802
        for result in super()._getMsg(*arguments):
            # A server that has never heard of TLS_FALLBACK_SCSV (RFC 7507) is one that does not see it.
            if isinstance(result, ClientHello) and not self._options.fallback_scsv:
                result.cipher_suites = [one for one in result.cipher_suites if one != CipherSuite.TLS_FALLBACK_SCSV]
            yield result

    def _serverCertKeyExchange(self, client_hello: Any, server_hello: Any, *rest: Any) -> Iterator[Any]:  # noqa: N802
        if not self._options.secure_renegotiation:
            server_hello.extensions = [
                one for one in server_hello.extensions or [] if one.extType != ExtensionType.renegotiation_info
            ] or None
        if self._options.compression and _DEFLATE in client_hello.compression_methods:
            server_hello.compression_method = _DEFLATE
            self._recordLayer.agreed = True
        yield from super()._serverCertKeyExchange(client_hello, server_hello, *rest)


class _CompressingRecordLayer(RecordLayer):  # type: ignore[misc]
    """Compresses what it sends once that is agreed upon and encryption is on (RFC 3749), which tlslite never does."""

    def __init__(self, plain: socket.socket) -> None:
        super().__init__(plain)
        self.agreed = False
        self._deflate: Any = None
        self._inflate: Any = None

    def changeWriteState(self) -> None:  # noqa: N802
        super().changeWriteState()
        self._deflate = zlib.compressobj() if self.agreed else None

    def changeReadState(self) -> None:  # noqa: N802
        super().changeReadState()
        self._inflate = zlib.decompressobj() if self.agreed else None

    def sendRecord(self, msg: Any) -> Iterator[Any]:  # noqa: N802
        if self._deflate is not None:
            data = self._deflate.compress(bytes(msg.write())) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            msg = Message(msg.contentType, bytearray(data))
        yield from super().sendRecord(msg)

    def recvRecord(self) -> Iterator[Any]:  # noqa: N802
        for result in super().recvRecord():
            if result in (0, 1) or self._inflate is None:
                yield result
                continue
            header, parser = result
            yield header, Parser(bytearray(self._inflate.decompress(bytes(parser.bytes))))
