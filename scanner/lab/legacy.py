"""Serves the cases that OpenSSL 3 no longer can, by tlslite-ng, and makes its server do what it rightly does not do.

tlslite-ng is pure Python: slow, and thereby easy to lead astray. All of that is in `_FlawedConnection`.
"""

from __future__ import annotations

import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey  # type: ignore[import-untyped]
from tlslite.constants import CipherSuite, ExtensionType  # type: ignore[import-untyped]
from tlslite.errors import TLSDecodeError, TLSError  # type: ignore[import-untyped]
from tlslite.extensions import TLSExtension  # type: ignore[import-untyped]
from tlslite.keyexchange import ECDHKeyExchange, FFDHKeyExchange  # type: ignore[import-untyped]
from tlslite.messages import ClientHello  # type: ignore[import-untyped]

from scanner.lab.connection import linger
from scanner.lab.legacy_records import FlawedRecordLayer

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from scanner.lab.case import TlsLite
    from scanner.lab.certificates import Identity

# What tlslite lets out when a client sends it nonsense: its own errors, and those of its parsers.
ERRORS: Final = (TLSError, SyntaxError, AssertionError, AttributeError, IndexError, KeyError, TypeError)

_DEFLATE: Final = 1
_SCTS: Final = 18  # RFC 6962 section 3.3.1
_SECRET_SIZE: Final = 48
_SESSION_ID: Final = 32
_TICKET_KEY: Final = b"a key of the lab for its tickets"
_OLD_KEY: Final = int.from_bytes(b"made once, and used for every connection")
_OLD_KEYS: Final[dict[int, Any]] = {}
"""The same on elliptic curves, by group."""
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
        self._sct_list = identity.sct_list

    @contextlib.contextmanager
    def secured(self, plain: socket.socket) -> Iterator[_FlawedConnection]:
        """Upgrade an accepted connection to TLS and close it in good order afterwards."""
        connection = _FlawedConnection(plain, self._options, self._key, self._sct_list)
        try:
            connection.handshakeServer(certChain=self._chain, privateKey=self._key, settings=self._settings)
        except ERRORS:
            with contextlib.suppress(OSError):
                linger(plain)
            raise
        yield connection
        connection.close()


def _settings(options: TlsLite) -> Any:
    settings = HandshakeSettings()
    settings.minVersion, settings.maxVersion = options.minimum, options.maximum
    settings.versions = [version for version in _VERSIONS if options.minimum <= version <= options.maximum]
    settings.cipherNames = list(options.ciphers)
    settings.macNames = list(options.macs)
    settings.keyExchangeNames = list(options.key_exchanges)
    settings.useEncryptThenMAC = options.encrypt_then_mac
    settings.useExtendedMasterSecret = options.extended_master_secret
    settings.rsaSigHashes = list(options.signature_hashes)
    settings.ecdsaSigHashes = list(options.signature_hashes)
    settings.more_sig_schemes = []
    settings.use_heartbeat_extension = options.vulnerability == "heartbleed"
    settings.ticket_count = 0
    if options.vulnerability == "ticketbleed":
        settings.ticket_count, settings.ticketKeys = 1, [bytearray(_TICKET_KEY)]
    settings.dhParams = options.dh_parameters
    if options.dh_parameters is not None:
        settings.dhGroups = []
    return settings


class _FlawedConnection(TLSConnection):  # type: ignore[misc]
    """A server's side of a connection which leaves protections out, as the options say, and brings SCTs along."""

    def __init__(self, plain: socket.socket, options: TlsLite, key: Any, sct_list: bytes) -> None:
        super().__init__(plain)
        self._options = options
        self._key = key
        self._sct_list = sct_list
        self._recordLayer = FlawedRecordLayer(plain, options.vulnerability)

    def _getMsg(self, *arguments: Any) -> Iterator[Any]:  # noqa: N802
        for result in super()._getMsg(*arguments):
            # A server that has never heard of TLS_FALLBACK_SCSV (RFC 7507) is one that does not see it.
            if isinstance(result, ClientHello) and not self._options.fallback_scsv:
                result.cipher_suites = [one for one in result.cipher_suites if one != CipherSuite.TLS_FALLBACK_SCSV]
            # CVE-2016-9244: a session id is taken to have 32 bytes, and sent back with what lies behind it in memory,
            # which are zeros here.
            if isinstance(result, ClientHello) and self._options.vulnerability == "ticketbleed" and result.session_id:
                result.session_id = result.session_id.ljust(_SESSION_ID, b"\x00")
            yield result

    def _serverCertKeyExchange(self, client_hello: Any, server_hello: Any, *rest: Any) -> Iterator[Any]:  # noqa: N802
        if not self._options.secure_renegotiation:
            server_hello.extensions = [
                one for one in server_hello.extensions or [] if one.extType != ExtensionType.renegotiation_info
            ] or None
        if self._sct_list and client_hello.getExtension(_SCTS) is not None:
            scts = TLSExtension(extType=_SCTS).create(bytearray(self._sct_list))
            server_hello.extensions = [*(server_hello.extensions or []), scts]
        if self._options.compression and _DEFLATE in client_hello.compression_methods:
            server_hello.compression_method = _DEFLATE
            self._recordLayer.compression_agreed = True
        if self._options.vulnerability == "robot":
            key_exchange = rest[2]
            key_exchange.processClientKeyExchange = partial(
                _tell_padding, self._key, key_exchange.processClientKeyExchange
            )
        if self._options.vulnerability == "key-reuse":
            key_exchange = rest[2]
            key_exchange.makeServerKeyExchange = partial(
                _with_old_key, key_exchange, key_exchange.makeServerKeyExchange
            )
        yield from super()._serverCertKeyExchange(client_hello, server_hello, *rest)


def _with_old_key(key_exchange: Any, make: Any, *arguments: Any) -> Any:
    """The message of a key exchange with the ephemeral key of all other connections."""
    message = make(*arguments)
    version = key_exchange.serverHello.server_version
    if message.dh_p:
        key_exchange.dh_Xs = _OLD_KEY
        group = FFDHKeyExchange(None, version, key_exchange.dh_g, key_exchange.dh_p)
        message.createDH(key_exchange.dh_p, key_exchange.dh_g, group.calc_public_value(_OLD_KEY))
    else:
        if key_exchange.group_id not in _OLD_KEYS:
            _OLD_KEYS[key_exchange.group_id] = key_exchange.ecdhXs
        key_exchange.ecdhXs = _OLD_KEYS[key_exchange.group_id]
        point = ECDHKeyExchange(key_exchange.group_id, version).calc_public_value(key_exchange.ecdhXs, "uncompressed")
        message.createECDH(message.curve_type, message.named_curve, point)
    key_exchange.signServerKeyExchange(message, *arguments)
    return message


def _tell_padding(key: Any, process: Any, message: Any) -> Any:
    """Process a client's key exchange, and say so where its padding was wrong: the oracle of the ROBOT attack."""
    # Not by `key.decrypt`, which makes a secret up where the padding is wrong, as it should.
    padded = key._raw_private_key_op_bytes(message.encryptedPreMasterSecret)  # noqa: SLF001
    if padded[:2] != b"\x00\x02" or padded[-_SECRET_SIZE - 1] != 0 or 0 in padded[2 : -_SECRET_SIZE - 1]:
        text = "wrong padding"
        raise TLSDecodeError(text)
    return process(message)
