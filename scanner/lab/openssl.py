"""Serves the cases that Python's `ssl` (OpenSSL) can: nearly all of them."""

from __future__ import annotations

import base64
import contextlib
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from scanner.lab.case import OpenSsl
    from scanner.lab.certificates import Identity

# OpenSSL's bit 8, SSL_OP_ALLOW_CLIENT_RENEGOTIATION, which Python has no name for.
_ALLOW_CLIENT_RENEGOTIATION = 1 << 8
_INTEGER, _SEQUENCE, _LONG_FORM = 0x02, 0x30, 0x80  # of DER


def context(options: OpenSsl, identity: Identity, ca_pem: bytes) -> ssl.SSLContext:
    """Build a server's context. `ca_pem` is what client certificates are checked against, where they are asked for."""
    result = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    result.set_ciphers(f"{options.ciphers}:@SECLEVEL={options.security_level}")
    result.minimum_version = options.minimum
    result.maximum_version = options.maximum
    if options.client_renegotiation:
        result.options |= _ALLOW_CLIENT_RENEGOTIATION
    else:
        result.options |= ssl.OP_NO_RENEGOTIATION
    if options.curve is not None:
        result.set_ecdh_curve(options.curve)
    if options.client_certificate != "none":
        result.load_verify_locations(cadata=ca_pem.decode())
        result.verify_mode = ssl.CERT_REQUIRED if options.client_certificate == "required" else ssl.CERT_OPTIONAL
    # The module loads keys and parameters from files alone.
    with tempfile.TemporaryDirectory(prefix="nightseal-lab-") as directory:
        pem = Path(directory, "identity.pem")
        pem.touch(mode=0o600)
        pem.write_bytes(identity.pem)
        result.load_cert_chain(pem)
        if options.dh_parameters is not None:
            parameters = Path(directory, "dh.pem")
            parameters.write_bytes(_dh_pem(*options.dh_parameters))
            result.load_dh_params(str(parameters))
    return result


def _dh_pem(generator: int, prime: int) -> bytes:
    """Parameters of PKCS #3, written by hand: `cryptography` refuses those that are bad, which a case may want."""
    body = b"".join(_der(_INTEGER, number.to_bytes(number.bit_length() // 8 + 1)) for number in (prime, generator))
    lines = base64.encodebytes(_der(_SEQUENCE, body))
    return b"-----BEGIN DH PARAMETERS-----\n" + lines + b"-----END DH PARAMETERS-----\n"


def _der(tag: int, body: bytes) -> bytes:
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes([tag]) + (length if len(body) < _LONG_FORM else bytes([_LONG_FORM | len(length)]) + length) + body


@contextlib.contextmanager
def secured(plain: socket.socket, server_context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """Upgrade an accepted connection to TLS and close it in good order afterwards."""
    with server_context.wrap_socket(plain, server_side=True) as channel:
        yield channel
        # A close_notify, without waiting for the client's: not every client sends one.
        with contextlib.suppress(OSError):
            channel.settimeout(0.2)
            channel.unwrap()
